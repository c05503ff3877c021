package decode

import (
	"fmt"
	"strings"
	"testing"
)

func TestSurvey(t *testing.T) {
	var s Survey
	for _, p := range []string{
		`{"email":"jane@doe.com","n":1,"at":"2015-08-18T06:36:40Z","o":{"x":1.5,"y":null},"tags":[1]}`,
		`{"email":"joe@doe.com","n":2,"o":{"x":2,"z":{}},"never":null}`,
		`{"email":"jane@doe.com","a b":true}`,
	} {
		s.Add([]byte(p))
	}
	var got []string
	for _, p := range s.Properties() {
		got = append(got, fmt.Sprintf("%s %s %s %d %d %v", p.Column.Name, strings.Join(p.Column.Path, "/"), p.Column.Type, p.Events, p.Nulls, p.Examples))
	}
	want := []string{
		`email email VARCHAR(MAX) 3 0 ["jane@doe.com" "joe@doe.com"]`, `n n BIGINT 2 0 [1 2]`, `at at TIMESTAMP 1 0 ["2015-08-18T06:36:40Z"]`,
		`o_x o/x DOUBLE PRECISION 2 0 [1.5 2]`, `o_y o/y Kind(0) 0 1 []`, `tags tags JSON 1 0 [[1]]`, `never never Kind(0) 0 1 []`, `a_b a b BOOLEAN 1 0 [true]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || s.Events() != 3 {
		t.Errorf("%d events\n%s", s.Events(), strings.Join(got, "\n"))
	}
}
