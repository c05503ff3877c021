// What the SQL page needs of CodeMirror, as one global, CodeMirror.
// `make codemirror` bundles it into assets/vendor/codemirror.js.
export { EditorState, Compartment, Prec, StateEffect, StateField } from "@codemirror/state";
export { Decoration, EditorView, drawSelection, highlightSpecialChars, keymap, lineNumbers, placeholder } from "@codemirror/view";
export { defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory } from "@codemirror/commands";
export { HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
export { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, completionStatus, closeCompletion } from "@codemirror/autocomplete";
export { PostgreSQL, SQLDialect, keywordCompletionSource, schemaCompletionSource, sql } from "@codemirror/lang-sql";
export { tags } from "@lezer/highlight";
