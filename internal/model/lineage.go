package model

import (
	"fmt"
	"strings"
)

// Lineage draws what the named models, or those that no other reads, are made
// from, as a tree. What was drawn before is not drawn again.
func (s *Set) Lineage(names ...string) string {
	if len(names) == 0 {
		read := map[string]bool{}
		for _, m := range s.Models {
			for _, r := range m.refs {
				read[r.Name] = read[r.Name] || r.Name != m.Name
			}
		}
		for _, m := range s.Models {
			if !read[m.Name] || m.err != nil {
				names = append(names, m.Name)
			}
		}
	}
	var b strings.Builder
	seen := map[string]bool{}
	for _, name := range names {
		s.draw(&b, name, "", "", seen)
	}
	return b.String()
}

func (s *Set) draw(b *strings.Builder, name, first, rest string, seen map[string]bool) {
	m := s.byName[name]
	switch {
	case m == nil:
		fmt.Fprintf(b, "%s%s\n", first, name)
		return
	case seen[name]:
		fmt.Fprintf(b, "%s%s (see above)\n", first, name)
		return
	}
	seen[name] = true
	fmt.Fprintf(b, "%s%s (%s)\n", first, name, m.Kind)
	for i, r := range m.refs {
		if i == len(m.refs)-1 {
			s.draw(b, r.Name, rest+"└─ ", rest+"   ", seen)
		} else {
			s.draw(b, r.Name, rest+"├─ ", rest+"│  ", seen)
		}
	}
}
