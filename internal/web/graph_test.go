package web

import (
	"fmt"
	"testing"
)

func TestGraphStandsRightOfWhatItReads(t *testing.T) {
	models := []ModelLine{
		{Name: "c", Sources: []string{"b", "raw"}}, {Name: "b", Sources: []string{"a"}}, {Name: "a", Sources: []string{"raw", "other"}}, {Name: "alone"},
	}
	g := graphOf(models)
	at := map[string]GraphNode{}
	for _, n := range g.Nodes {
		if n.X < 0 || n.Y < 0 || n.X+nodeWidth > g.Width || n.Y+nodeHeight > g.Height {
			t.Errorf("%s at %d, %d is outside of %d×%d", n.Name, n.X, n.Y, g.Width, g.Height)
		}
		for _, m := range at {
			if m.X == n.X && m.Y == n.Y {
				t.Errorf("%s stands on %s", n.Name, m.Name)
			}
		}
		at[n.Name] = n
	}
	edges := 0
	for _, m := range models {
		for _, source := range m.Sources {
			edges++
			if at[source].X >= at[m.Name].X {
				t.Errorf("%s at %d is not right of %s at %d", m.Name, at[m.Name].X, source, at[source].X)
			}
		}
	}
	if len(g.Edges) != edges || len(g.Nodes) != 6 {
		t.Errorf("%d edges, %d nodes", len(g.Edges), len(g.Nodes))
	}
}

func TestGraphOfModelsThatNeedThemselvesEnds(t *testing.T) {
	g := graphOf([]ModelLine{{Name: "a", Sources: []string{"b"}}, {Name: "b", Sources: []string{"a"}}, {Name: "self", Sources: []string{"self"}}})
	if len(g.Nodes) != 3 || g.Width > 3*(nodeWidth+layerGap) {
		t.Errorf("%d nodes, %d wide", len(g.Nodes), g.Width)
	}
}

func TestGraphOfManyLeavesSomeOut(t *testing.T) {
	var models []ModelLine
	for i := range graphNodes + 5 {
		models = append(models, ModelLine{Name: fmt.Sprint("m", i), Sources: []string{fmt.Sprint("m", i/2-1)}})
	}
	if g := graphOf(models); g.Left != 5 || len(g.Nodes) < graphNodes {
		t.Errorf("%d left out, %d nodes", g.Left, len(g.Nodes))
	}
	if g := graphOf(nil); g.Width != 0 || g.Height != 0 {
		t.Errorf("nothing is %d×%d", g.Width, g.Height)
	}
}
