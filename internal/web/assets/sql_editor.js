// The editor of the SQL page: CodeMirror with SQL, completion and a mark where a
// statement is wrong.

/* global CodeMirror */

// What DuckDB has and PostgreSQL has not.
const words = "anti asof attach describe exclude glob pivot pivot_longer pivot_wider positional qualify replace sample semi summarize try_cast unpivot using";
const types = "hugeint ubigint uhugeint uinteger usmallint utinyint tinyint struct map union list blob double varchar timestamptz";

// edit makes an editor within an element.
export function edit(parent, { text, nonce, label, described, run, leave }) {
  const { EditorState, EditorView, Compartment, Prec, StateEffect, StateField, Decoration, keymap, tags } = CodeMirror;
  const spec = CodeMirror.PostgreSQL.spec;
  const dialect = CodeMirror.SQLDialect.define({ ...spec, keywords: `${spec.keywords} ${words}`, types: `${spec.types} ${types}` });
  let tables = [];

  const language = new Compartment();
  const sqlOf = (schema) => CodeMirror.sql({ dialect, schema, defaultSchema: schema.main || !schema.public ? "main" : "public", upperCaseKeywords: true });

  // columns offers those of the tables that the statement names.
  const columns = (context) => {
    const word = context.matchBefore(/[A-Za-z_][\w]*/);
    if (!word && !context.explicit) return null;
    const before = context.state.sliceDoc(Math.max(0, (word?.from ?? context.pos) - 1), word?.from ?? context.pos);
    if (before === "." || before === "'" || before === '"') return null;
    const named = new Set(context.state.doc.toString().toLowerCase().match(/[a-z_][\w]*/g) ?? []);
    const options = new Map();
    for (const t of tables) {
      if (!named.has(t.name.toLowerCase())) continue;
      for (const [name, type] of t.columns) {
        if (!options.has(name)) options.set(name, { label: name, apply: quoted(name), type: "property", detail: type, boost: 2 });
      }
    }
    return options.size ? { from: word?.from ?? context.pos, options: [...options.values()], validFor: /^\w*$/ } : null;
  };

  const setMark = StateEffect.define();
  const marks = StateField.define({
    create: () => Decoration.none,
    update(set, tr) {
      if (tr.docChanged) set = Decoration.none;
      for (const e of tr.effects) if (e.is(setMark)) set = e.value === null ? Decoration.none : Decoration.set([Decoration.mark({ class: "cm-fault" }).range(e.value.from, e.value.to)]);
      return set;
    },
    provide: (f) => EditorView.decorations.from(f),
  });

  const style = CodeMirror.HighlightStyle.define([
    { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--s1)", fontWeight: "600" },
    { tag: [tags.string, tags.special(tags.string)], color: "var(--s3)" },
    { tag: [tags.number, tags.bool, tags.null], color: "var(--s2)" },
    { tag: tags.typeName, color: "var(--s4)" },
    { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--quiet)", fontStyle: "italic" },
  ]);

  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        EditorView.cspNonce.of(nonce),
        Prec.highest(keymap.of([
          { key: "Mod-Enter", run: () => (run(), true) },
          { key: "Tab", run: CodeMirror.acceptCompletion }, // else it leaves the editor
        ])),
        CodeMirror.lineNumbers(), CodeMirror.highlightSpecialChars(), CodeMirror.history(), CodeMirror.drawSelection(),
        CodeMirror.indentOnInput(), CodeMirror.bracketMatching(), CodeMirror.closeBrackets(),
        CodeMirror.autocompletion({ icons: false }),
        CodeMirror.syntaxHighlighting(style),
        language.of(sqlOf({})), EditorState.languageData.of(() => [{ autocomplete: columns }]),
        marks,
        keymap.of([
          ...CodeMirror.closeBracketsKeymap, ...CodeMirror.completionKeymap, ...CodeMirror.historyKeymap, ...CodeMirror.defaultKeymap.filter((k) => k.key !== "Escape" && k.key !== "Mod-Enter"),
          { key: "Escape", run: () => (leave(), true) },
        ]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ tabindex: "0", "aria-labelledby": label, "aria-describedby": described, autocapitalize: "off", autocorrect: "off", spellcheck: "false" }),
        CodeMirror.placeholder("SELECT …"),
      ],
    }),
  });

  const offset = (line, column) => {
    const at = view.state.doc.line(Math.min(line, view.state.doc.lines));
    return Math.min(at.to, at.from + [...at.text].slice(0, column - 1).join("").length);
  };
  return {
    text: () => view.state.doc.toString(),
    set: (s) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: s } }),
    insert: (s) => {
      view.dispatch(view.state.replaceSelection(s));
      view.focus();
    },
    focus: () => view.focus(),
    complete: (list) => {
      tables = list;
      const schema = {};
      for (const t of list) {
        (schema[t.schema] ??= {})[t.name] = t.columns.map(([name, type]) => ({ label: name, apply: quoted(name), type: "property", detail: type }));
      }
      view.dispatch({ effects: language.reconfigure(sqlOf(schema)) });
    },
    // mark marks the word at a place; null takes the mark away.
    mark: (at) => {
      if (!at?.line || at.line > view.state.doc.lines) return view.dispatch({ effects: setMark.of(null) });
      const from = offset(at.line, at.column), line = view.state.doc.lineAt(from);
      const word = line.text.slice(from - line.from).match(/^(\w+|\S)/)?.[0].length ?? 0;
      const range = word ? { from, to: from + word } : { from: Math.max(line.from, from - 1), to: from };
      view.dispatch({ effects: setMark.of(range.from < range.to ? range : null) });
    },
    goTo: (line, column) => {
      view.dispatch({ selection: { anchor: offset(line, column) }, scrollIntoView: true });
      view.focus();
    },
    name: (t) => (t.schema === "main" || t.schema === "public" ? "" : quoted(t.schema) + ".") + quoted(t.name),
  };
}

// quoted spells a name for SQL.
function quoted(name) {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
