package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"arbalest"
	"arbalest/pipeline"
)

func TestModelBuildsWhatItNames(t *testing.T) {
	onEach(t, func(p *place) {
		f, err := pipeline.Parse("m.yaml", []byte("steps:\n  - model: ${NAME}\n  - model: [b, c]\n  - model: []\n"), func(string) (string, bool) { return "a", true })
		if err != nil {
			p.Fatal(err)
		}
		if got := strings.Join(f.Steps(), "; "); got != "model a; model b, c; models" {
			p.Error(got)
		}
		if _, err := f.Run(p.Context(), p.env, pipeline.Options{}); !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("without models: %v", err)
		}
		var calls []string
		p.env.Model = func(_ context.Context, names []string) (int64, error) {
			calls = append(calls, strings.Join(names, "+"))
			return 2, nil
		}
		if r := p.run(f.Pipeline); r.Rows() != 6 || strings.Join(calls, " ") != "a b+c " {
			p.Errorf("%+v after %q", r, calls)
		}
	})
}
