package warehousetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/load"
)

// Null is how a query function spells NULL.
const Null = "NULL"

// Open opens a warehouse for a test, and closes it at the test's end. Called
// again in the same test it closes the warehouse and opens the same one again.
//
// query runs one SELECT and returns its rows as text: true and false, integers
// and decimals with all their digits, floating point in the fewest digits that
// read back (with ".0" where it is whole, and exponents as e+308), dates as 2006-01-02, timestamps as 2006-01-02 15:04:05.999999
// without zeros at the end, those with time zone in UTC with +00, and Null.
type Open func(t *testing.T) (w load.Warehouse, query func(sql string) [][]string)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(*suite)
	}{
		{"Types", testTypes},
		{"Texts", testTexts},
		{"JSON", testJSON},
		{"Nulls", testNulls},
		{"LargeBatch", testLargeBatch},
		{"AddColumn", testAddColumn},
		{"Widen", testWiden},
		{"WiderInWarehouse", testWiderInWarehouse},
		{"CannotWiden", testCannotWiden},
		{"ExtraColumn", testFewerColumns},
		{"RepeatsInBatch", testRepeatsInBatch},
		{"RepeatsInTable", testRepeatsInTable},
		{"RepeatsByReceipt", testRepeatsByReceipt},
		{"RepeatsOfRepeats", testRepeatsOfRepeats},
		{"RepeatsFarApart", testRepeatsFarApart},
		{"RandomRepeats", testRandomRepeats},
		{"Conflicts", testConflicts},
		{"BatchesOfAnySize", testBatchesOfAnySize},
		{"CompactedMeanwhile", testCompactedMeanwhile},
		{"Erase", testErase},
		{"EraseOfTiers", testEraseOfTiers},
		{"ErasedMeanwhile", testErasedMeanwhile},
		{"LoadErrors", testLoadErrors},
		{"Books", testBooks},
		{"JournalOfManyRows", testJournalOfManyRows},
		{"StalePrev", testStalePrev},
		{"Stalled", testStalled},
		{"Race", testRace},
		{"ManyTables", testManyTables},
		{"Atomic", testAtomic},
		{"Reset", testReset},
		{"ResetAll", testResetAll},
		{"Beside", testBeside},
		{"RebuildKilled", testRebuildKilled},
		{"RebuildWhileAsked", testRebuildWhileAsked},
		{"RebuildMeanwhile", testRebuildMeanwhile},
		{"SwapPart", testSwapPart},
		{"SwapPartLeft", testSwapPartLeft},
		{"RebuildPart", testRebuildPart},
		{"RebuildPartChain", testRebuildPartChain},
		{"RebuildPartKilled", testRebuildPartKilled},
		{"Leave", testLeave},
		{"LeaveByReceipt", testLeaveByReceipt},
		{"LeaveAtRandom", testLeaveAtRandom},
		{"LeaveMeanwhile", testLeaveMeanwhile},
		{"LeaveCounts", testLeaveCounts},
		{"LeaveForGood", testLeaveForGood},
		{"LeaveThenReset", testLeaveThenReset},
		{"Held", testHeld},
		{"Rows", testRows},
		{"Reopen", testReopen},
		{"Cancelled", testCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &suite{T: t, open: open}
			s.reopen()
			test.run(s)
		})
	}
}

// A suite is one test's warehouse, and how far it was loaded.
type suite struct {
	*testing.T
	open  Open
	w     load.Warehouse
	query func(string) [][]string
	at    load.Progress
}

func (s *suite) reopen() {
	s.Helper()
	s.w, s.query = s.open(s.T)
}

// next returns the progress after one more commit.
func (s *suite) next() load.Progress {
	return load.Progress{Cursor: load.Cursor{Commit: s.at.Commit + 1}, Stalled: s.at.Stalled}
}

// load loads a batch and returns its tables' counts.
func (s *suite) load(tables ...load.TableBatch) []load.Counts {
	s.Helper()
	counts, err := s.w.Load(s.Context(), s.at, load.Batch{Tables: tables, Next: s.next()})
	if err != nil {
		s.Fatal(err)
	}
	s.at = s.next()
	for i, c := range counts {
		if c.Stored != c.Loaded+c.Repeats+c.Errors+c.Erased {
			s.Fatalf("counts of %s do not balance: %+v", tables[i].Table.Name, c)
		}
	}
	return counts
}

// rows loads rows of one object.
func (s *suite) rows(table arbalest.Table, rows ...Row) load.Counts {
	s.Helper()
	return s.load(Batch(table, 1000, Object{Commit: s.at.Commit + 1, Rows: rows}))[0]
}

// wantRows compares a query's rows, each spelled with " | " between values.
func (s *suite) wantRows(sql string, want ...string) {
	s.Helper()
	var got []string
	for _, row := range s.query(sql) {
		got = append(got, strings.Join(row, " | "))
	}
	if !slices.Equal(got, want) {
		s.Errorf("%s\n got %s\nwant %s", sql, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func (s *suite) wantCounts(got, want load.Counts) {
	s.Helper()
	if got != want {
		s.Errorf("counts are %+v, want %+v", got, want)
	}
}

// wantProgress compares the cursor with where the suite's loads have come to.
func (s *suite) wantProgress() {
	s.Helper()
	p, err := s.w.Progress(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if got, want := fmt.Sprint(p), fmt.Sprint(s.at); got != want {
		s.Errorf("progress is %s, want %s", got, want)
	}
}
