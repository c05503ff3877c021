package lake

import (
	"fmt"
	"strconv"
	"strings"

	"arbalest"
)

// The system's own prefixes. Event names cannot begin with "_".
const (
	landingPrefix  = "_landing/"
	logPrefix      = "_log/"
	rejectedFolder = "_rejected/"
	replayedFolder = "_replayed/"
	tablesPrefix   = "_tables/"
	movesFolder    = "_moved/"
	erasedFolder   = "_erased/"
)

// The suffixes of objects of lines.
const (
	suffixZstd  = ".ndjson.zst"
	suffixPlain = ".ndjson"
	suffixS2    = ".ndjson.s2" // of segments; suffixZstd of old ones
)

func planKey(s arbalest.Seq) arbalest.Key   { return arbalest.Key(logPrefix + s.String() + ".plan.json") }
func commitKey(s arbalest.Seq) arbalest.Key { return arbalest.Key(logPrefix + s.String() + ".json") }

// movesKey names what compaction seq moved.
func movesKey(s arbalest.Seq) arbalest.Key {
	return arbalest.Key(movesFolder + s.String() + movesSuffix)
}

const movesSuffix = ".json.zst"

func movesSeq(key arbalest.Key) (arbalest.Seq, error) {
	name, ok := strings.CutPrefix(string(key), movesFolder)
	digits, ok2 := strings.CutSuffix(name, movesSuffix)
	if !ok || !ok2 {
		return 0, fmt.Errorf("%w: %q is not the key of moves", arbalest.ErrCorrupt, key)
	}
	return arbalest.ParseSeq(digits)
}

// erasureKey names the record of erasure seq.
func erasureKey(s arbalest.Seq) arbalest.Key {
	return arbalest.Key(erasedFolder + s.String() + ".json")
}

// secretKey is what the fingerprints of erased events are made with.
const secretKey arbalest.Key = erasedFolder + "key.json"

// mergedFolder is where what is made of objects of a day goes: the partition of
// their hour, or the folder of their day.
func mergedFolder(objects []arbalest.Object) arbalest.Key {
	first, last := objects[0], objects[len(objects)-1]
	prefix := arbalest.Partition{Event: first.Event, Hour: first.Hour}.Prefix()
	if first.Hour == last.Hour {
		return prefix
	}
	return prefix[:len(prefix)-len("06/")]
}

// mergedKey names an object that compaction seq makes.
func mergedKey(folder arbalest.Key, seq arbalest.Seq, part int, suffix string) arbalest.Key {
	return folder + arbalest.Key(partName(seq, part)+suffix)
}

// partName is what a commit's objects are called in a folder: <seq>, and from the
// second on <seq>-<part>.
func partName(seq arbalest.Seq, part int) string {
	if part == 0 {
		return seq.String()
	}
	return fmt.Sprintf("%s-%06d", seq, part)
}

// segmentKey names segment n of a writer. Twelve digits keep a writer's
// segments in order.
func segmentKey(writer string, n uint64) arbalest.Key {
	return arbalest.Key(fmt.Sprintf("%s%s/%012d%s", landingPrefix, writer, n, suffixS2))
}

// oldSegmentKey names a segment as builds before 24 November 2026 did, whose
// segments were zstd.
func oldSegmentKey(key arbalest.Key) arbalest.Key {
	return arbalest.Key(strings.TrimSuffix(string(key), suffixS2) + suffixZstd)
}

// segmentName returns the writer and number of a segment's key.
func segmentName(key arbalest.Key) (writer string, n uint64, err error) {
	rest, ok := strings.CutPrefix(string(key), landingPrefix)
	name, ok2 := strings.CutSuffix(rest, suffixS2)
	if !ok2 {
		name, ok2 = strings.CutSuffix(rest, suffixZstd)
	}
	writer, digits, ok3 := strings.Cut(name, "/")
	n, err = strconv.ParseUint(digits, 10, 64)
	if !ok || !ok2 || !ok3 || err != nil || writer == "" {
		return "", 0, fmt.Errorf("%w: %q is not the key of a segment", arbalest.ErrCorrupt, key)
	}
	return writer, n, nil
}

// objectKey names what a commit adds to a partition, part by part: a flush of it
// each.
func objectKey(p arbalest.Partition, seq arbalest.Seq, part int, suffix string) arbalest.Key {
	return p.Prefix() + arbalest.Key(partName(seq, part)+suffix)
}

// rejectedKey names the invalid events of a segment that were received in hour.
func rejectedKey(segment arbalest.Key, hour arbalest.Hour) (arbalest.Key, error) {
	writer, n, err := segmentName(segment)
	if err != nil {
		return "", err
	}
	return Ref{Hour: hour, Writer: writer, N: n}.key(), nil
}

// replayedKey names a mark that events that were received in hour were replayed.
func replayedKey(hour arbalest.Hour, id string) arbalest.Key {
	return arbalest.Key(replayedFolder + hour.String() + "/" + id + ".json")
}

func receiptOf(writer string, n uint64) arbalest.Receipt {
	return arbalest.Receipt(fmt.Sprintf("%s-%06d", writer, n))
}

// segmentOf returns the segment that a receipt names. The error wraps
// arbalest.ErrInvalid.
func segmentOf(r arbalest.Receipt) (arbalest.Key, error) {
	writer, digits, ok := strings.Cut(string(r), "-")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || len(writer) != 26 || strings.ContainsAny(writer, "/.") {
		return "", fmt.Errorf("%w: receipt %.60q is not one of ours: send it as it was given", arbalest.ErrInvalid, string(r))
	}
	return segmentKey(writer, n), nil
}

// definitionKey names a version of a table's definition.
func definitionKey(table string, version int) arbalest.Key {
	return arbalest.Key(fmt.Sprintf("%s%s/%08d.json", tablesPrefix, table, version))
}
