package s3

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"arbalest"
	"arbalest/internal/blob"
)

// List implements blob.Store. It asks for pages of 1,000 keys, and holds one.
func (s *Store) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		fail := func(err error) { yield(blob.Info{}, fmt.Errorf("list %s: %w", prefix, err)) }
		if err := ctx.Err(); err != nil {
			fail(err)
			return
		}
		if !begins(prefix) || after > prefix && !strings.HasPrefix(string(after), string(prefix)) {
			return // no key is there
		}
		in := s.listing(prefix, after)
		for last := after; ; {
			page, err := s.client.ListObjectsV2(ctx, in)
			if err != nil {
				fail(s.explain(ctx, err))
				return
			}
			for _, o := range page.Contents {
				if err := ctx.Err(); err != nil {
					fail(err)
					return
				}
				if o.Key == nil || o.Size == nil {
					continue
				}
				key, under := strings.CutPrefix(*o.Key, s.full(""))
				info := blob.Info{Key: arbalest.Key(key), Size: *o.Size}
				if !under || !strings.HasPrefix(key, string(prefix)) || info.Key <= after || blob.ValidKey(info.Key) != nil {
					continue
				}
				if info.Key <= last {
					fail(fmt.Errorf("%w: %s lists %q after %q, not in order of bytes: use a server, or a kind of bucket, that does", arbalest.ErrInvalid, s.server(), key, string(last)))
					return
				}
				if last = info.Key; !yield(info, nil) {
					return
				}
			}
			if page.IsTruncated == nil || !*page.IsTruncated || page.NextContinuationToken == nil {
				return
			}
			in.ContinuationToken = page.NextContinuationToken
		}
	}
}

// listing returns the request for the keys with a prefix after a key. Both may
// be any string, but only text can be sent: of the rest, a shorter one is sent
// which includes what is asked for, and List leaves out the surplus.
func (s *Store) listing(prefix, after arbalest.Key) *sdk.ListObjectsV2Input {
	in := &sdk.ListObjectsV2Input{Bucket: &s.bucket}
	if full := s.full(text(prefix)); full != "" {
		in.Prefix = &full
	}
	if after > prefix {
		if full := s.full(text(after)); full > s.full(prefix) {
			in.StartAfter = &full
		}
	}
	return in
}

// text returns the key up to its first byte that is no text.
func text(key arbalest.Key) arbalest.Key {
	for i, r := range key {
		if r < 0x20 || r == 0x7f {
			return key[:i]
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(string(key[i:])); size < 2 {
				return key[:i]
			}
		}
	}
	return key
}

// begins says whether any valid key begins with the prefix: it may end in the
// middle of a name or of a rune.
func begins(prefix arbalest.Key) bool {
	whole := text(prefix)
	rest := prefix[len(whole):]
	if rest != "" && utf8.FullRuneInString(string(rest)) {
		return false // what follows the text is no rune's beginning
	}
	return blob.ValidKey(whole) == nil && rest == "" || blob.ValidKey(whole+"x") == nil
}
