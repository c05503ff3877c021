package redshifttest

// A FaultKind says how Redshift refuses to commit.
type FaultKind uint8

// The kinds of faults.
const (
	// Conflict is error 1023: a serializable isolation violation.
	Conflict FaultKind = iota + 1
	// Vanished is error 1018: the relation is younger than the snapshot.
	Vanished
)

// A Fault happens once, in a transaction block, in place of the first statement
// after BEGIN that begins with Statement. Connections that are cut are
// postgrestest.Proxy's, which may stand in front of a Server.
type Fault struct {
	Kind        FaultKind
	Transaction int    // from 1: the blocks since SetFaults, over all sessions
	Statement   string // "commit", "copy", …; any if empty
}

// SetFaults replaces the faults that are still to happen, and counts
// transactions from zero.
func (s *Server) SetFaults(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.transactions = faults, 0
}

// Pending returns how many faults have not happened yet.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.faults)
}

// fault returns the error that happens at a statement of a transaction, if any.
func (s *Server) fault(transaction int, first string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Transaction != transaction || f.Statement != "" && f.Statement != first {
			continue
		}
		s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		if f.Kind == Vanished {
			return &refusal{"XX000", "1018", "Relation does not exist"}
		}
		return violation()
	}
	return nil
}

// violation is what Redshift answers to a conflict (Developer Guide,
// "Serializable isolation").
func violation() error {
	return &refusal{"XX000", "1023", "Serializable isolation violation on table in Redshift"}
}
