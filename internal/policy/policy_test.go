package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/capture"
)

var testKey = []byte("a key of at least sixteen bytes")

// sum is what others compute.
func sum(text string) string {
	m := hmac.New(sha256.New, testKey)
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func compile(t testing.TB, d Definition) *Policy {
	t.Helper()
	if d.Event == "" {
		d.Event = "user.created"
	}
	p, err := Compile(d, testKey)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func column(t testing.TB, name, kind string, path ...string) Column {
	t.Helper()
	typed, err := arbalest.ParseType(kind)
	if err != nil {
		t.Fatal(err)
	}
	if len(path) == 0 {
		path = []string{name}
	}
	return Column{Column: arbalest.Column{Name: name, Path: path, Type: typed}}
}

func paths(list ...string) (out [][]string) {
	for _, p := range list {
		out = append(out, strings.Split(p, "."))
	}
	return out
}

// admitted is what becomes of properties: as they are stored, then what is in
// their attributes; or the code and the reason.
func admitted(p *Policy, properties, attributes string) (stored, beside string, refusal *capture.Refusal) {
	e := arbalest.Event{Name: "user.created", Properties: []byte(properties)}
	if attributes != "" {
		e.Attributes = []byte(attributes)
	}
	refusal = p.Admit(&e, false)
	return string(e.Properties), string(e.Attributes), refusal
}

func TestPrivacy(t *testing.T) {
	for name, c := range map[string]struct {
		rules    Privacy
		in, want string
	}{
		"nothing named":              {Privacy{Hash: paths("email")}, `{"a":1.10,"b":"\u0041"}`, `{"a":1.10,"b":"\u0041"}`},
		"hash":                       {Privacy{Hash: paths("email")}, `{"a":1.10,"email":"jane@doe.com","b":{"email":"x"}}`, `{"a":1.10,"email":"` + sum("jane@doe.com") + `","b":{"email":"x"}}`},
		"hash of an escaped text":    {Privacy{Hash: paths("email")}, `{"\u0065mail":"jane\u0040doe.com"}`, `{"\u0065mail":"` + sum("jane@doe.com") + `"}`},
		"hash of a number":           {Privacy{Hash: paths("n")}, `{"n":1.10}`, `{"n":"` + sum("1.10") + `"}`},
		"hash of null, true, object": {Privacy{Hash: paths("a", "b", "c")}, `{"a":null,"b":true,"c":{"x":[1]}}`, `{"a":null,"b":"` + sum("true") + `","c":"` + sum(`{"x":[1]}`) + `"}`},
		"nested, in arrays":          {Privacy{Hash: paths("items.*.email")}, `{"items":[{"email":"a","n":1},{"n":2},7,{"email":"b"}]}`, `{"items":[{"email":"` + sum("a") + `","n":1},{"n":2},7,{"email":"` + sum("b") + `"}]}`},
		"arrays that are not named":  {Privacy{Hash: paths("items.email")}, `{"items":[[{"email":"a"}]]}`, `{"items":[[{"email":"` + sum("a") + `"}]]}`},
		"any key":                    {Privacy{Hash: paths("users.*.email")}, `{"users":{"x":{"email":"a"},"y":[{"email":"b"}]}}`, `{"users":{"x":{"email":"` + sum("a") + `"},"y":[{"email":"` + sum("b") + `"}]}}`},
		"every element":              {Privacy{Hash: paths("tags.*")}, `{"tags":["a","b"]}`, `{"tags":["` + sum("a") + `","` + sum("b") + `"]}`},
		"drop the first":             {Privacy{Drop: paths("a")}, `{"a":1,"b":2,"c":3}`, `{"b":2,"c":3}`},
		"drop the middle":            {Privacy{Drop: paths("b")}, `{"a":1,"b":2,"c":3}`, `{"a":1,"c":3}`},
		"drop the last":              {Privacy{Drop: paths("c")}, `{"a":1,"b":2,"c":3}`, `{"a":1,"b":2}`},
		"drop the last two":          {Privacy{Drop: paths("b", "c")}, `{"a":1,"b":2,"c":3}`, `{"a":1}`},
		"drop all":                   {Privacy{Drop: paths("*")}, `{"a":1,"b":[2],"c":{}}`, `{}`},
		"drop elements":              {Privacy{Drop: paths("a.*.x", "b.*")}, `{"a":[{"x":1},{"x":2,"y":3}],"b":[1,2]}`, `{"a":[{},{"y":3}],"b":[]}`},
		"drop before hash":           {Privacy{Drop: paths("*.x"), Hash: paths("a.x", "a.y")}, `{"a":{"x":1,"y":2}}`, `{"a":{"y":"` + sum("2") + `"}}`},
		"IPv4":                       {Privacy{Truncate: []Truncation{{Path: []string{"ip"}}}}, `{"ip":"192.168.17.42"}`, `{"ip":"192.168.17.0"}`},
		"IPv6":                       {Privacy{Truncate: []Truncation{{Path: []string{"ip"}}}}, `{"ip":"2001:db8:1:2:3::4"}`, `{"ip":"2001:db8:1::"}`},
		"IPv4 in IPv6":               {Privacy{Truncate: []Truncation{{Path: []string{"ip"}}}}, `{"ip":"::ffff:1.2.3.4"}`, `{"ip":"1.2.3.0"}`},
		"with a port":                {Privacy{Truncate: []Truncation{{Path: []string{"ip"}}}}, `{"ip":"[2001:db8:1:2::4]:80","x":1}`, `{"ip":"2001:db8:1::","x":1}`},
		"no address":                 {Privacy{Truncate: []Truncation{{Path: []string{"ip"}}}}, `{"ip":"home of jane","x":1}`, `{"x":1}`},
		"characters":                 {Privacy{Truncate: []Truncation{{[]string{"name"}, 3}}}, `{"name":"Jürgen"}`, `{"name":"Jür"}`},
		"no more characters":         {Privacy{Truncate: []Truncation{{[]string{"name"}, 3}}}, `{"name":"J\u00fcr"}`, `{"name":"J\u00fcr"}`},
		"characters of a number":     {Privacy{Truncate: []Truncation{{[]string{"name"}, 3}}}, `{"name":123456}`, `{}`},
		"a key with a dot":           {Privacy{Hash: [][]string{{"a.b"}}}, `{"a.b":"x","a":{"b":"x"}}`, `{"a.b":"` + sum("x") + `","a":{"b":"x"}}`},
	} {
		got, _, refusal := admitted(compile(t, Definition{Privacy: c.rules}), c.in, "")
		if refusal != nil || got != c.want {
			t.Errorf("%s: %s, %v\nwant %s", name, got, refusal, c.want)
		}
	}
}

func TestPrivacyOfAttributes(t *testing.T) {
	p := compile(t, Definition{Privacy: Privacy{Hash: paths("_event.attributes.context.userId", "email"), Truncate: []Truncation{{Path: []string{"_event", "attributes", "context", "ip"}}}}})
	_, got, refusal := admitted(p, `{"n":1}`, `{"context":{"ip":"1.2.3.4","userId":"u","os":"x"}}`)
	if want := `{"context":{"ip":"1.2.3.0","userId":"` + sum("u") + `","os":"x"}}`; refusal != nil || got != want {
		t.Errorf("%s, %v", got, refusal)
	}
}

const plan = `{"type":"object","properties":{
	"plan":{"enum":["free","paid"]},"email":{"type":"string","format":"email"},"age":{"type":"integer","minimum":0},
	"address":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]},
	"tags":{"type":"array","items":{"type":"string"}}},"required":["plan"],"additionalProperties":false}`

func TestContracts(t *testing.T) {
	columns := []Column{column(t, "plan", "VARCHAR(4)"), column(t, "age", "INTEGER"), column(t, "city", "VARCHAR(9)", "address", "city"), column(t, "extra", "JSON")}
	byColumn := append([]Column(nil), columns...)
	byColumn[1].Mode = DiscardValue
	for name, c := range map[string]struct {
		d        Definition
		in, want string // "" is as it came
		code     capture.Code
		beside   string // in attributes
		says     string
	}{
		"a schema that is met":         {d: Definition{Schema: []byte(plan)}, in: `{"plan":"free","email":"jane@doe.com","address":{"city":"Paris"},"tags":["a"]}`},
		"a schema freezes":             {d: Definition{Schema: []byte(plan)}, in: `{"plan":"free","age":-1}`, code: capture.BadSchema, says: "age: it is less than 0"},
		"formats are checked":          {d: Definition{Schema: []byte(plan)}, in: `{"plan":"free","email":"sesame"}`, code: capture.BadSchema, says: "email: it is not of the format email"},
		"unknown to the schema":        {d: Definition{Schema: []byte(plan)}, in: `{"plan":"free","colour":"red"}`, code: capture.BadSchema, says: "colour: the schema has no such property"},
		"required by the schema":       {d: Definition{Schema: []byte(plan)}, in: `{"address":{}}`, code: capture.BadSchema, says: "address.city: it is required"},
		"a row is discarded":           {d: Definition{Schema: []byte(plan), Contract: Contract{DataType: DiscardRow}}, in: `{"plan":"free","age":-1}`, code: capture.Discarded},
		"freeze before discard":        {d: Definition{Schema: []byte(plan), Contract: Contract{DataType: DiscardRow, Columns: Freeze}}, in: `{"plan":"free","age":-1,"x":1}`, code: capture.BadSchema},
		"evolve":                       {d: Definition{Schema: []byte(plan), Contract: Contract{DataType: Evolve, Columns: Evolve}}, in: `{"plan":7,"colour":"red"}`},
		"evolve columns only":          {d: Definition{Schema: []byte(plan), Contract: Contract{Columns: Evolve}}, in: `{"plan":"free","colour":"red"}`},
		"a value is taken out":         {d: Definition{Schema: []byte(plan), Contract: Contract{DataType: DiscardValue}}, in: `{"plan":"free","age":-1,"tags":["a",7,"b"]}`, want: `{"plan":"free","tags":["a","b"]}`, beside: `"path":["age"],"reason":"it is less than 0","value":-1}`},
		"an unknown one is taken out":  {d: Definition{Schema: []byte(plan), Contract: Contract{Columns: DiscardValue}}, in: `{"colour":"red","plan":"free"}`, want: `{"plan":"free"}`, beside: `"value":"red"`},
		"a required one is taken out":  {d: Definition{Schema: []byte(plan), Contract: Contract{DataType: DiscardValue}}, in: `{"plan":"gold"}`, code: capture.BadSchema, says: "plan: it is required, and not there, when"},
		"required":                     {d: Definition{Required: paths("a", "b.c")}, in: `{"a":null,"b":{}}`, code: capture.BadSchema, says: "a: it is required, and not there; b.c: it is"},
		"required and there":           {d: Definition{Required: paths("a", "b.c")}, in: `{"a":false,"b":{"c":0}}`},
		"required, row discarded":      {d: Definition{Required: paths("a"), Contract: Contract{DataType: DiscardRow}}, in: `{}`, code: capture.Discarded},
		"required, evolve":             {d: Definition{Required: paths("a"), Contract: Contract{DataType: Evolve}}, in: `{}`},
		"columns without a contract":   {d: Definition{Columns: columns, Declared: true}, in: `{"plan":"golden","other":1}`},
		"columns freeze":               {d: Definition{Columns: columns, Contract: Contract{Columns: Freeze}}, in: `{"address":{"city":"x","street":"y"}}`, code: capture.BadSchema, says: "address.street: there is no such column"},
		"columns freeze, timestamp":    {d: Definition{Columns: columns, Contract: Contract{Columns: Freeze}}, in: `{"timestamp":"2015-08-18T06:36:40Z","extra":{"any":1}}`},
		"columns are taken out":        {d: Definition{Columns: columns, Contract: Contract{Columns: DiscardValue}}, in: `{"address":{"city":"x","street":"y"},"z":[1, 2]}`, want: `{"address":{"city":"x"}}`, beside: `{"path":["z"],"reason":"there is no such column","value":[1, 2]}`},
		"types freeze":                 {d: Definition{Columns: columns, Contract: Contract{DataType: Freeze}}, in: `{"plan":"golden"}`, code: capture.BadSchema, says: "plan: it does not fit column plan VARCHAR(4)"},
		"types are taken out":          {d: Definition{Columns: columns, Contract: Contract{DataType: DiscardValue}}, in: `{"plan":"golden","age":1.5,"other":1}`, want: `{"other":1}`, beside: `{"path":["age"],"reason":"it does not fit column age INTEGER","value":1.5}`},
		"one column has its own":       {d: Definition{Columns: byColumn, Contract: Contract{DataType: Freeze}}, in: `{"plan":"free","age":1.5}`, want: `{"plan":"free"}`},
		"a required column is taken":   {d: Definition{Columns: columns, Required: paths("age"), Contract: Contract{DataType: DiscardValue}}, in: `{"age":1.5}`, code: capture.BadSchema},
		"numbers that are too long":    {d: Definition{Schema: []byte(plan)}, in: `{"plan":"free","age":1e999999999}`, code: capture.BadSchema, says: "more than 400 digits"},
		"a value that is hashed first": {d: Definition{Columns: []Column{column(t, "plan", "VARCHAR(64)")}, Contract: Contract{DataType: Freeze}, Privacy: Privacy{Hash: paths("plan")}}, in: `{"plan":"x"}`, want: `{"plan":"` + sum("x") + `"}`},
	} {
		p := compile(t, c.d)
		got, beside, refusal := admitted(p, c.in, "")
		if c.want == "" {
			c.want = c.in
		}
		code := capture.Code("")
		if refusal != nil {
			code = refusal.Code
			if !strings.Contains(refusal.Reason, c.says) {
				t.Errorf("%s: says %s, want %s", name, refusal.Reason, c.says)
			}
		}
		if code != c.code || got != c.want || !strings.Contains(beside, c.beside) || (beside != "" && !json.Valid([]byte(beside))) {
			t.Errorf("%s: %s %s %+v", name, got, beside, refusal)
		}
	}
}

func TestDiscardedJoinsOtherAttributes(t *testing.T) {
	p := compile(t, Definition{Columns: []Column{column(t, "a", "INTEGER")}, Contract: Contract{Columns: DiscardValue}, Privacy: Privacy{Hash: paths("secret.name"), Drop: paths("gone")}})
	got, beside, refusal := admitted(p, `{"a":1,"b":2,"secret":{"name":"jane","x":1},"gone":3}`, `{"source":"/x"}`)
	want := `{"source":"/x","_discarded":[{"path":["b"],"reason":"there is no such column","value":2},{"path":["secret","x"],"reason":"there is no such column","value":1}]}`
	if refusal != nil || beside != want || got != `{"a":1,"secret":{"name":"`+sum("jane")+`"}}` {
		t.Errorf("%s\n%s\n%v", got, beside, refusal)
	}
}

func TestWhatIsTakenOutIsProtected(t *testing.T) {
	schema := `{"properties":{"email":{"type":"string","maxLength":3},"card":{"properties":{"n":{"type":"integer"}}},"pin":{"type":"integer"}}}`
	d := Definition{Schema: []byte(schema), Contract: Contract{DataType: DiscardValue}, Privacy: Privacy{Hash: paths("email", "card"), Drop: paths("pin")}}
	got, beside, refusal := admitted(compile(t, d), `{"email":"jane@doe.com","card":{"n":"4111"},"pin":"0000"}`, "")
	if refusal != nil || got != "{}" || strings.Contains(beside, "jane") || strings.Contains(beside, "4111") || strings.Contains(beside, "0000") || !strings.Contains(beside, sum("jane@doe.com")) {
		t.Errorf("%s %s %v", got, beside, refusal)
	}
	d.Contract.DataType = Freeze
	_, _, refusal = admitted(compile(t, d), `{"email":"jane@doe.com","card":{"n":"4111"},"pin":"0000"}`, "")
	if refusal == nil || strings.Contains(refusal.Reason, "card.n") || strings.Contains(refusal.Reason, "jane") {
		t.Errorf("%v", refusal)
	}
}

func TestProtect(t *testing.T) {
	p := compile(t, Definition{Privacy: Privacy{Hash: paths("email"), Drop: paths("pin")}})
	for name, c := range map[string]struct {
		in, want string
		whole    bool
	}{
		"as posted":           {`{ "event" : "user.created", "data": {"email":"a", "pin" : 1 ,"n": 1.0 } }`, `{ "event" : "user.created", "data": {"email":"` + sum("a") + `", "n": 1.0 } }`, true},
		"an unknown member":   {`{"event":"user.created","email":"a","data":null}`, `{"event":"user.created","data":null}`, false},
		"data that is a list": {`{"event":"user.created","data":[{"email":"a"}]}`, `{"event":"user.created"}`, false},
		"a nested timestamp":  {`{"timestamp":{"email":"a"},"event":"user.created","data":{"_event":{"email":"a"}}}`, `{"event":"user.created","data":{}}`, false},
	} {
		body, _, whole, ok := p.Protect([]byte(c.in), nil)
		if string(body) != c.want || whole != c.whole || !ok {
			t.Errorf("%s: %s, %v, %v", name, body, whole, ok)
		}
	}
}

func TestDefinitionsThatAreWrong(t *testing.T) {
	for name, d := range map[string]Definition{
		"a name":               {Event: "bad name"},
		"a mode":               {Contract: Contract{Columns: "stop"}},
		"a mode of a column":   {Columns: []Column{{Column: column(t, "a", "DATE").Column, Mode: "stop"}}},
		"nothing is known":     {Contract: Contract{Columns: Freeze}},
		"two rules":            {Privacy: Privacy{Hash: paths("a"), Drop: paths("a")}},
		"no schema":            {Schema: []byte(`{"type":"objekt"}`)},
		"a schema elsewhere":   {Schema: []byte(`{"$ref":"https://example.com/x.json"}`), SchemaFile: "x.json"},
		"an envelope":          {Privacy: Privacy{Drop: paths("_event.id")}},
		"an empty path":        {Required: [][]string{{}}},
		"a negative number":    {Privacy: Privacy{Truncate: []Truncation{{[]string{"a"}, -1}}}},
		"a reference to nowhe": {Schema: []byte(`{"$ref":"nowhere.json"}`), SchemaFile: "x.json"},
	} {
		if d.Event == "" {
			d.Event = "a.b"
		}
		if _, err := Compile(d, testKey); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Compile(Definition{Event: "a", Privacy: Privacy{Hash: paths("x")}}, []byte("short")); !errors.Is(err, arbalest.ErrInvalid) {
		t.Errorf("a short key: %v", err)
	}
}

func TestTooMuchGrowth(t *testing.T) {
	p := compile(t, Definition{Privacy: Privacy{Hash: paths("a.*")}})
	in := `{"a":[` + strings.Repeat("1,", 100_000) + `1]}`
	if got, _, refusal := admitted(p, in, ""); refusal == nil || refusal.Code != capture.EventTooLarge || got != in {
		t.Errorf("%v", refusal)
	}
}
