package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A Graph is models and the tables that they read, laid out from left to right:
// each stands right of all that it reads.
type Graph struct {
	Width, Height int
	Nodes         []GraphNode
	Edges         []string // paths of SVG
	Left          int      // models that were left out, as they are too many to see
}

// A GraphNode is a table or a model.
type GraphNode struct {
	Name  string
	Short string // as much of the name as there is room for
	Path  string // its page
	Class string // table, view, incremental, and bad if it does not stand
	Label string // for who does not see it
	X, Y  int

	layer int
	at    float64 // where in its layer it would like to be
}

// The measures of a graph, in pixels. A character of the font is about 7.2 wide.
const (
	nodeWidth, nodeHeight = 190, 34
	layerGap, nodeGap     = 64, 14
	nodeLetters           = 24
	graphNodes            = 300
)

// graphOf lays models out.
func graphOf(models []ModelLine) Graph {
	g := Graph{}
	if len(models) > graphNodes {
		g.Left, models = len(models)-graphNodes, models[:graphNodes]
	}
	nodes := map[string]*GraphNode{}
	var order []*GraphNode
	add := func(n GraphNode) {
		n.Short = n.Name
		if r := []rune(n.Name); len(r) > nodeLetters {
			n.Short = string(r[:nodeLetters-1]) + "…"
		}
		nodes[n.Name] = &n
		order = append(order, &n)
	}
	for _, m := range models {
		class := string(m.Kind)
		if standing := m.Standing(); standing == "wrong" || standing == "failed" {
			class += " bad"
		}
		add(GraphNode{Name: m.Name, Path: "/models/" + url.PathEscape(m.Name), Class: class, Label: fmt.Sprintf("model %s, %s, %s", m.Name, m.Kind, m.Standing())})
	}
	for _, m := range models {
		for _, source := range m.Sources {
			if nodes[source] == nil {
				add(GraphNode{Name: source, Path: "/tables/" + url.PathEscape(source), Class: "source", Label: "table " + source})
			}
		}
	}
	rank(models, nodes)
	layers := g.place(order)
	for range 4 {
		settle(models, nodes, layers)
	}
	for _, layer := range layers {
		for i, n := range layer {
			n.X, n.Y = n.layer*(nodeWidth+layerGap), i*(nodeHeight+nodeGap)+(g.Height-len(layer)*(nodeHeight+nodeGap)+nodeGap)/2
		}
	}
	for _, m := range models {
		to := nodes[m.Name]
		for _, source := range m.Sources {
			from := nodes[source]
			x1, y1, x2, y2 := from.X+nodeWidth, from.Y+nodeHeight/2, to.X, to.Y+nodeHeight/2
			bend := layerGap / 2
			g.Edges = append(g.Edges, fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2))
		}
	}
	for _, n := range order {
		g.Nodes = append(g.Nodes, *n)
	}
	return g
}

// rank puts every model right of what it reads. Models that need themselves are
// stopped after as many rounds as there are models.
func rank(models []ModelLine, nodes map[string]*GraphNode) {
	for range len(models) {
		moved := false
		for _, m := range models {
			for _, source := range m.Sources {
				if n := nodes[m.Name]; n.layer <= nodes[source].layer && n.layer < len(models) {
					n.layer, moved = nodes[source].layer+1, true
				}
			}
		}
		if !moved {
			return
		}
	}
}

// place gathers the layers, and measures the graph.
func (g *Graph) place(order []*GraphNode) [][]*GraphNode {
	var layers [][]*GraphNode
	for _, n := range order {
		for len(layers) <= n.layer {
			layers = append(layers, nil)
		}
		layers[n.layer] = append(layers[n.layer], n)
	}
	layers = slices.DeleteFunc(layers, func(l []*GraphNode) bool { return len(l) == 0 })
	most := 0
	for i, layer := range layers {
		slices.SortFunc(layer, func(a, b *GraphNode) int { return strings.Compare(a.Name, b.Name) })
		for _, n := range layer {
			n.layer = i
		}
		most = max(most, len(layer))
	}
	g.Width = max(0, len(layers)*(nodeWidth+layerGap)-layerGap)
	g.Height = max(0, most*(nodeHeight+nodeGap)-nodeGap)
	return layers
}

// settle orders each layer by where its neighbours are, so that fewer lines
// cross.
func settle(models []ModelLine, nodes map[string]*GraphNode, layers [][]*GraphNode) {
	for _, layer := range layers {
		for i, n := range layer {
			n.at = float64(2*i-len(layer)) / 2
		}
	}
	sum, count := map[*GraphNode]float64{}, map[*GraphNode]float64{}
	for _, m := range models {
		for _, source := range m.Sources {
			a, b := nodes[m.Name], nodes[source]
			sum[a], count[a] = sum[a]+b.at, count[a]+1
			sum[b], count[b] = sum[b]+a.at, count[b]+1
		}
	}
	for _, layer := range layers {
		for _, n := range layer {
			if count[n] > 0 {
				n.at = sum[n] / count[n]
			}
		}
		slices.SortStableFunc(layer, func(a, b *GraphNode) int { return cmp.Compare(a.at, b.at) })
	}
}
