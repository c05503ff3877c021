package blob

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"arbalest"
)

// A Draft is an object that is not one yet. Append adds a piece at its end, and
// what it was given is durable when it returns; Publish makes the object. Until
// then neither Get nor List sees it. A draft whose process died is published by
// Dir.Recover, of any process.
//
// A piece costs one write and one fsync of blocks that were there before: a
// fifth of what an object of its own does. A Draft is for one goroutine at a
// time.
//
// A draft is written in a file of .drafts, its slot, in blocks of 4096 bytes:
// the first says whose draft it is, the next are pieces, each in blocks of its
// own, so that no block that holds an acknowledged piece is ever written again.
//
//	block 0   "ARBDRAFT" | salt, 8 bytes | key's length, 2 | key | … | CRC-32C of all before, 4
//	a piece   salt, 8 bytes | length, 4 | CRC-32C of salt, length and piece, 4 | piece | zeros up to a block
//
// Numbers are little-endian. The salt is drawn for each draft: what an earlier
// one left in the slot is not taken for pieces of this one. Block 0 is written
// with the first piece, and cleared when the object is there.
type Draft struct {
	dir    *Dir
	key    arbalest.Key
	slot   *slot
	salt   uint64
	pieces []byte // one after another
	end    int64  // in the slot, where the next piece goes
	broken error  // of an Append: what is after end is not known
}

// A slot is a file for drafts, one after another. It is locked for as long as
// its process lives. It is written without the page cache where the filesystem
// can: what is in it is read only after a crash.
type slot struct {
	path   string
	file   *os.File
	direct *os.File // the same file; nil if the filesystem cannot
	buffer []byte   // aligned as direct needs it
	scrubs int      // of the Dir, when it was made
}

const (
	drafts       = ".drafts" // the folder of slots
	draftMagic   = "ARBDRAFT"
	draftBlock   = 4096
	draftRoom    = 8 << 20 // bytes of a slot
	pieceHeader  = 16
	maxSlotTries = 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Draft begins a draft of an object. It is to be published, or closed with the
// Dir. Nothing is written before its first piece; an object under the key is
// noticed only by Publish.
func (d *Dir) Draft(ctx context.Context, key arbalest.Key) (*Draft, error) {
	if err := ready(ctx, key); err != nil {
		return nil, fmt.Errorf("draft object: %w", err)
	}
	s, err := d.takeSlot(ctx)
	if err != nil {
		return nil, fmt.Errorf("draft %s: %w", key, explain(err))
	}
	return &Draft{dir: d, key: key, slot: s, salt: rand.Uint64(), end: draftBlock}, nil
}

// Key returns the key of the object that the draft becomes.
func (f *Draft) Key() arbalest.Key { return f.key }

// Append adds a piece. The commit point is the fsync of the slot. The error
// wraps arbalest.ErrTooLarge if there is no room, which changes nothing. After
// any other the piece may or may not be part of the draft, which takes no more
// pieces and is to be published.
func (f *Draft) Append(ctx context.Context, b []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.broken != nil {
		return fmt.Errorf("append to draft %s: after an earlier failure: %w", f.key, f.broken)
	}
	next := f.end + blocks(pieceHeader+int64(len(b)))
	if next > draftRoom {
		return fmt.Errorf("append to draft %s: %w: %d bytes", f.key, arbalest.ErrTooLarge, len(b))
	}
	from := f.end
	if f.end == draftBlock { // it begins with its header
		from = 0
	}
	room := f.slot.room(int(next - from))
	if from == 0 {
		room = appendDraftHeader(room, f.salt, f.key)
	}
	if err := f.dir.writeSlot(f.slot, appendPiece(room, f.salt, b), from); err != nil {
		f.broken = explain(err)
		return fmt.Errorf("append to draft %s: %w", f.key, f.broken)
	}
	f.pieces = append(f.pieces, b...)
	f.end = next
	return nil
}

// room returns the slot's buffer, empty, with room for n bytes.
func (s *slot) room(n int) []byte {
	if cap(s.buffer) < n {
		s.buffer = aligned(n + n/4)
	}
	return s.buffer[:0]
}

// aligned returns n bytes that begin at a multiple of draftBlock.
func aligned(n int) []byte {
	b := make([]byte, n+draftBlock)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (draftBlock - 1)
	return b[skip : skip+n]
}

// writeSlot writes whole blocks to a slot, durably. They are in the slot's
// buffer.
func (d *Dir) writeSlot(s *slot, b []byte, at int64) error {
	err := d.disk.do("write", s.path, func() error {
		if s.direct != nil {
			_, err := s.direct.WriteAt(b, at)
			if !errors.Is(err, unix.EINVAL) {
				return err
			}
			s.direct.Close() // it was opened, but is not what this filesystem does
			s.direct = nil
		}
		_, err := s.file.WriteAt(b, at)
		return err
	})
	if err != nil {
		return err
	}
	return d.disk.do("fsync", s.path, func() error { return datasync(s.file) })
}

// clearSlot sees to it, durably, that there is no draft in a slot.
func (d *Dir) clearSlot(s *slot) error {
	b := s.room(draftBlock)[:draftBlock]
	clear(b) // it holds what was written before, which may be the header
	return d.writeSlot(s, b, 0)
}

// Publish makes the object of the pieces; of none, nothing. The commit point is
// that of Create. That there is an object already says that an earlier Publish
// got as far: keys of drafts are to be their writer's own. After an error the
// draft is as it was, but for pieces that it does not take any more.
func (f *Draft) Publish(ctx context.Context) error {
	if f.end > draftBlock {
		if err := f.dir.Create(ctx, f.key, bytes.NewReader(f.pieces)); err != nil && !errors.Is(err, arbalest.ErrExists) {
			f.broken = err
			return fmt.Errorf("publish draft: %w", err)
		}
	}
	if f.end > draftBlock || f.broken != nil {
		if err := f.dir.clearSlot(f.slot); err != nil {
			return fmt.Errorf("publish draft %s: clear it: %w", f.key, explain(err))
		}
	}
	f.dir.giveSlot(f.slot)
	f.slot = nil
	return nil
}

// Size returns how many bytes the object will have.
func (f *Draft) Size() int64 { return int64(len(f.pieces)) }

// blocks rounds a size up to whole blocks.
func blocks(n int64) int64 { return (n + draftBlock - 1) / draftBlock * draftBlock }

func appendDraftHeader(b []byte, salt uint64, key arbalest.Key) []byte {
	start := len(b)
	b = append(b, draftMagic...)
	b = binary.LittleEndian.AppendUint64(b, salt)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, key...)
	b = append(b, make([]byte, draftBlock-4-(len(b)-start))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func appendPiece(b []byte, salt uint64, piece []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint64(b, salt)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(piece)))
	sum := crc32.Update(crc32.Checksum(b[start:], castagnoli), castagnoli, piece)
	b = binary.LittleEndian.AppendUint32(b, sum)
	b = append(b, piece...)
	return append(b, make([]byte, blocks(int64(len(b)-start))-int64(len(b)-start))...)
}

// parseDraft reads a slot: the key, and the pieces up to the first that is not
// whole, one after another. The key is empty if there is no draft in it, and ok
// false if there is no piece.
func parseDraft(b []byte) (key arbalest.Key, pieces []byte, ok bool) {
	salt, key := parseDraftHeader(b)
	if key == "" {
		return "", nil, false
	}
	for rest := b[draftBlock:]; len(rest) >= pieceHeader; {
		size := int64(binary.LittleEndian.Uint32(rest[8:]))
		if binary.LittleEndian.Uint64(rest) != salt || size > int64(len(rest)-pieceHeader) {
			break
		}
		piece := rest[pieceHeader : pieceHeader+size]
		if binary.LittleEndian.Uint32(rest[12:]) != crc32.Update(crc32.Checksum(rest[:12], castagnoli), castagnoli, piece) {
			break
		}
		pieces, ok = append(pieces, piece...), true
		rest = rest[min(blocks(pieceHeader+size), int64(len(rest))):]
	}
	return key, pieces, ok
}

// parseDraftHeader reads block 0 of a slot. The key is empty if there is no
// draft in it.
func parseDraftHeader(b []byte) (salt uint64, key arbalest.Key) {
	if len(b) < draftBlock || string(b[:len(draftMagic)]) != draftMagic ||
		binary.LittleEndian.Uint32(b[draftBlock-4:]) != crc32.Checksum(b[:draftBlock-4], castagnoli) {
		return 0, ""
	}
	length := int(binary.LittleEndian.Uint16(b[16:]))
	if length > maxKey {
		return 0, ""
	}
	key = arbalest.Key(b[18 : 18+length])
	if ValidKey(key) != nil {
		return 0, ""
	}
	return binary.LittleEndian.Uint64(b[8:]), key
}

// takeSlot returns a slot that is not in use, or makes one.
func (d *Dir) takeSlot(ctx context.Context) (*slot, error) {
	d.slotMu.Lock()
	if n := len(d.slots); n > 0 {
		s := d.slots[n-1]
		d.slots = d.slots[:n-1]
		d.slotMu.Unlock()
		return s, nil
	}
	d.slotMu.Unlock()
	for range maxSlotTries {
		s, err := d.makeSlot(ctx)
		if s != nil || err != nil {
			return s, err
		}
	}
	return nil, fmt.Errorf("%w: others take the files in %s away as soon as they are made", arbalest.ErrUnavailable, drafts)
}

// giveSlot takes a slot back that holds no draft any more. One from before Scrub goes.
func (d *Dir) giveSlot(s *slot) {
	d.slotMu.Lock()
	defer d.slotMu.Unlock()
	if s.scrubs < d.scrubs {
		d.dropSlot(s)
		return
	}
	d.slots = append(d.slots, s)
}

// Scrub removes the slots of this process, which have what was in earlier drafts until
// it is written over: those without a draft now, others once theirs is published. Those
// of dead processes go with Recover.
func (d *Dir) Scrub() {
	d.slotMu.Lock()
	defer d.slotMu.Unlock()
	d.scrubs++
	for _, s := range d.slots {
		d.dropSlot(s)
	}
	d.slots = nil
}

// makeSlot makes a slot's file, with all its blocks, durably. It returns nil
// where another process took it for that of a dead one, before it was locked.
func (d *Dir) makeSlot(ctx context.Context) (*slot, error) {
	d.slotMu.Lock()
	s := &slot{path: path.Join(drafts, d.id+"-"+strconv.FormatUint(d.count.Add(1), 10)), scrubs: d.scrubs}
	d.slotMu.Unlock()
	mine := false
	err := d.folders.in(ctx, drafts, func(f *folder) error {
		err := d.disk.do("create", s.path, func() (err error) {
			s.file, err = openAt(f.fd(), path.Base(s.path), s.path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC)
			return err
		})
		if err != nil {
			return err
		}
		if mine, err = s.lock(); err != nil || !mine {
			return err
		}
		if err := d.writeSlot(s, make([]byte, draftRoom), 0); err != nil {
			return err
		}
		// What writes without the page cache wants a file that is all there.
		s.direct, _ = openDirect(f.fd(), path.Base(s.path))
		return f.commit()
	})
	if err != nil || !mine {
		d.dropSlot(s)
		return nil, err
	}
	return s, nil
}

// lock takes the slot for this process, and says whether it could and the file
// is still there.
func (s *slot) lock() (bool, error) {
	err := unix.Flock(int(s.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	var stat unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(s.file.Fd()), &stat)
	}
	return err == nil && stat.Nlink > 0, err
}

// dropSlot removes a slot that holds nothing.
func (d *Dir) dropSlot(s *slot) {
	if s.file == nil {
		return
	}
	_ = d.disk.do("remove", s.path, func() error { return unix.Unlinkat(d.fd(), s.path, 0) })
	if s.direct != nil {
		s.direct.Close()
	}
	s.file.Close()
}

// Recover publishes the drafts of processes that have died, and removes their
// slots. A process is dead when its lock is gone. What it was writing when it
// died may be missing; nothing that it acknowledged is. Where it died after its
// object was there and before the slot was cleared, the object is made again,
// though it may have been deleted since. Once Recover returns, also a loss of
// power brings no draft back that it published.
func (d *Dir) Recover(ctx context.Context) error {
	names, err := d.slotNames()
	if err != nil {
		return fmt.Errorf("recover drafts: %w", explain(err))
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.recover(ctx, path.Join(drafts, name)); err != nil {
			return fmt.Errorf("recover draft %s: %w", name, explain(err))
		}
	}
	return nil
}

// Drafted says whether there is a draft of the object, with a piece, of any
// process, living or dead. One that is published at the same time it may miss:
// there is the object then.
func (d *Dir) Drafted(ctx context.Context, key arbalest.Key) (bool, error) {
	if err := ready(ctx, key); err != nil {
		return false, fmt.Errorf("look for draft: %w", err)
	}
	names, err := d.slotNames()
	if err != nil {
		return false, fmt.Errorf("look for draft %s: %w", key, explain(err))
	}
	for _, name := range names {
		found, err := d.slotHolds(path.Join(drafts, name), key)
		if err != nil || found {
			return found, explain(err)
		}
	}
	return false, nil
}

// slotHolds says whether a draft is in a slot.
func (d *Dir) slotHolds(at string, key arbalest.Key) (bool, error) {
	file, err := openAt(d.fd(), at, at, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.NewSectionReader(file, 0, draftBlock))
	if err != nil {
		return false, err
	}
	if _, there := parseDraftHeader(b); there != key {
		return false, nil
	}
	b, err = io.ReadAll(io.NewSectionReader(file, 0, draftRoom))
	there, _, ok := parseDraft(b)
	return ok && there == key, err
}

func (d *Dir) slotNames() ([]string, error) {
	var names []string
	err := d.disk.do("read", drafts, func() error {
		dir, err := openAt(d.fd(), drafts, drafts, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
		if err == unix.ENOENT {
			return nil
		}
		if err != nil {
			return err
		}
		defer dir.Close()
		names, err = dir.Readdirnames(-1)
		return err
	})
	return names, err
}

func (d *Dir) recover(ctx context.Context, at string) error {
	file, err := openAt(d.fd(), at, at, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	s := &slot{path: at, file: file}
	dead, err := s.lock()
	if err != nil || !dead {
		file.Close()
		return err
	}
	if err := d.publishSlot(ctx, s); err != nil {
		file.Close()
		return err
	}
	d.dropSlot(s)
	return nil
}

// publishSlot publishes the draft that a dead process left in a slot, if there
// is one. The slot is cleared as by Publish: that it is removed would be durable
// only once its folder is synced, and until then it could come back whole.
func (d *Dir) publishSlot(ctx context.Context, s *slot) error {
	b, err := io.ReadAll(io.NewSectionReader(s.file, 0, draftRoom))
	if err != nil {
		return err
	}
	key, pieces, ok := parseDraft(b)
	if !ok {
		return nil
	}
	if err := d.Create(ctx, key, bytes.NewReader(pieces)); err != nil && !errors.Is(err, arbalest.ErrExists) {
		return err
	}
	return d.clearSlot(s)
}
