package s3

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"arbalest"
	"arbalest/internal/blob"
)

// A Rule has S3 move the objects below a folder to a class, some days after each was
// written there: by the time of its writing, not of its events. What is smaller
// than blob.MinFrozen stays.
type Rule struct {
	Folder arbalest.Key // an event's: one part, not the lake's own, which begin with "_"
	Days   int          // at least 1
	Class  blob.Class
}

const (
	// ruleMark begins the ids of a lake's rules: what follows is the prefix of keys
	// that the rule is for, so that each lake in a bucket knows its own.
	ruleMark   = "arbalest-"
	maxRules   = 1000
	maxRuleID  = 255
	lifecycles = "http://s3.amazonaws.com/doc/2006-03-01/" // the XML's name space
)

// rulePrefix returns the prefix of keys in the bucket that a rule is for.
func (s *Store) rulePrefix(folder arbalest.Key) string { return s.full(folder) + "/" }

// mine returns the folder that a rule of this lake is for; ok is false for others'.
func (s *Store) mine(id string) (folder arbalest.Key, ok bool) {
	prefix, ok1 := strings.CutPrefix(id, ruleMark+s.full(""))
	name, ok2 := strings.CutSuffix(prefix, "/")
	return arbalest.Key(name), ok1 && ok2 && validFolder(arbalest.Key(name)) == nil
}

func validFolder(folder arbalest.Key) error {
	if err := blob.ValidKey(folder); err != nil {
		return err
	}
	if strings.Contains(string(folder), "/") || folder[0] == '_' {
		return fmt.Errorf("%w: %q is not an event's folder", arbalest.ErrInvalid, folder)
	}
	return nil
}

// A ruleXML is a rule of ours, as S3 has it. ID is checked apart: it says whose the
// rule is.
type ruleXML struct {
	XMLName xml.Name `xml:"Rule"`
	ID      string
	Prefix  string `xml:"Filter>And>Prefix"`
	Above   int64  `xml:"Filter>And>ObjectSizeGreaterThan"` // bytes
	Status  string
	Days    int        `xml:"Transition>Days"`
	Class   blob.Class `xml:"Transition>StorageClass"`
}

// ruleOf returns a rule as S3 is to have it. The error wraps arbalest.ErrInvalid.
func (s *Store) ruleOf(r Rule) (ruleXML, error) {
	prefix := s.rulePrefix(r.Folder)
	x := ruleXML{ID: ruleMark + prefix, Prefix: prefix, Above: blob.MinFrozen - 1, Status: "Enabled", Days: r.Days, Class: r.Class}
	if err := validFolder(r.Folder); err != nil {
		return x, err
	}
	if _, err := blob.ParseClass(string(r.Class)); err != nil {
		return x, err
	}
	switch {
	case r.Days < 1:
		return x, fmt.Errorf("%w: objects of %s are to be moved after %d days: 1 is the least", arbalest.ErrInvalid, r.Folder, r.Days)
	case len(x.ID) > maxRuleID:
		return x, fmt.Errorf("%w: the rule for %s would have an id of %d bytes, and S3 takes 255: use a shorter prefix of the store", arbalest.ErrInvalid, r.Folder, len(x.ID))
	}
	return x, nil
}

// A lifecycle is a bucket's configuration. Of others' rules it has the bytes, which
// go back as they came, whatever is in them.
type lifecycle struct {
	XMLName xml.Name `xml:"LifecycleConfiguration"`
	Rules   []struct {
		ID  string
		Raw string `xml:",innerxml"`
	} `xml:"Rule"`
	Other []struct {
		XMLName xml.Name
	} `xml:",any"`

	minimum types.TransitionDefaultMinimumObjectSize
}

// ours returns this lake's rules, by their ids in order, and the others' bytes.
func (s *Store) ours(l lifecycle) (ours []ruleXML, others []string, err error) {
	for _, rule := range l.Rules {
		if _, ok := s.mine(rule.ID); !ok {
			others = append(others, "<Rule>"+rule.Raw+"</Rule>")
			continue
		}
		var x ruleXML
		if err := xml.Unmarshal([]byte("<Rule>"+rule.Raw+"</Rule>"), &x); err != nil {
			return nil, nil, fmt.Errorf("%w: rule %s: %v: remove it, and try again", arbalest.ErrInvalid, rule.ID, err)
		}
		x.XMLName = xml.Name{}
		ours = append(ours, x)
	}
	slices.SortFunc(ours, byID)
	return ours, others, nil
}

func byID(a, b ruleXML) int { return cmp.Compare(a.ID, b.ID) }

// Rules returns the lake's rules among the bucket's lifecycle rules, by folder.
func (s *Store) Rules(ctx context.Context) ([]Rule, error) {
	l, err := s.lifecycle(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the lifecycle rules of %s: %w", s.bucket, err)
	}
	ours, _, err := s.ours(l)
	if err != nil {
		return nil, fmt.Errorf("read the lifecycle rules of %s: %w", s.bucket, err)
	}
	var rules []Rule
	for _, x := range ours {
		folder, _ := s.mine(x.ID)
		rules = append(rules, Rule{folder, x.Days, x.Class})
	}
	return rules, nil
}

// SetRules makes the bucket's lifecycle rules of this lake those that are given.
// Others' rules stay, byte for byte, and so does the bucket's minimum size of
// transitions. Nothing is written if all is so already.
//
// S3 takes the rules only all together and without a condition: what somebody else
// changes in the same moment may be lost. It obeys them some time after, once a day.
func (s *Store) SetRules(ctx context.Context, rules []Rule) error {
	err := s.setRules(ctx, rules)
	if err != nil {
		err = fmt.Errorf("set the lifecycle rules of %s: %w", s.bucket, err)
	}
	return err
}

func (s *Store) setRules(ctx context.Context, rules []Rule) error {
	want := make([]ruleXML, len(rules))
	for i, r := range rules {
		var err error
		if want[i], err = s.ruleOf(r); err != nil {
			return err
		}
	}
	slices.SortFunc(want, byID)
	for i := 1; i < len(want); i++ {
		if want[i].ID == want[i-1].ID {
			return fmt.Errorf("%w: there are two rules for %s", arbalest.ErrInvalid, want[i].Prefix)
		}
	}
	l, err := s.lifecycle(ctx)
	if err != nil {
		return err
	}
	have, others, err := s.ours(l)
	switch {
	case err != nil:
		return err
	case slices.Equal(have, want):
		return nil
	case len(l.Other) > 0:
		return fmt.Errorf("%w: the configuration has %s, which this program does not know: set the rules by other means", arbalest.ErrInvalid, l.Other[0].XMLName.Local)
	case len(others)+len(want) > maxRules:
		return fmt.Errorf("%w: %d rules of others and %d of this lake are more than the 1,000 that a bucket may have: remove some", arbalest.ErrInvalid, len(others), len(want))
	case len(others)+len(want) == 0:
		_, err := s.client.DeleteBucketLifecycle(ctx, &sdk.DeleteBucketLifecycleInput{Bucket: &s.bucket})
		return s.explain(ctx, err)
	}
	ours, err := xml.Marshal(want)
	if err != nil {
		return fmt.Errorf("encode rules: %w", err)
	}
	return s.putLifecycle(ctx, `<LifecycleConfiguration xmlns="`+lifecycles+`">`+strings.Join(others, "")+string(ours)+`</LifecycleConfiguration>`, l.minimum)
}

// lifecycle reads the bucket's configuration, an empty one if there is none: its
// bytes, since the SDK drops what it does not know.
func (s *Store) lifecycle(ctx context.Context) (l lifecycle, err error) {
	var body []byte
	keep := middleware.DeserializeMiddlewareFunc("KeepBody", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (out middleware.DeserializeOutput, meta middleware.Metadata, err error) {
		out, meta, err = next.HandleDeserialize(ctx, in)
		if answer, ok := out.RawResponse.(*smithyhttp.Response); ok && err == nil {
			if body, err = io.ReadAll(answer.Body); err == nil {
				answer.Body = io.NopCloser(bytes.NewReader(body))
			}
		}
		return out, meta, err
	})
	out, err := s.client.GetBucketLifecycleConfiguration(ctx, &sdk.GetBucketLifecycleConfigurationInput{Bucket: &s.bucket}, func(o *sdk.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error { return stack.Deserialize.Add(keep, middleware.After) })
	})
	if code(err) == "NoSuchLifecycleConfiguration" {
		return l, nil
	}
	if err != nil {
		return l, s.explain(ctx, err)
	}
	if err := xml.Unmarshal(body, &l); err != nil {
		return l, fmt.Errorf("%w: %s does not know lifecycle rules, and answers %.64q: %v", arbalest.ErrInvalid, s.server(), body, err)
	}
	l.minimum = out.TransitionDefaultMinimumObjectSize
	return l, nil
}

// putLifecycle writes a configuration in place of the one that is there.
func (s *Store) putLifecycle(ctx context.Context, config string, minimum types.TransitionDefaultMinimumObjectSize) error {
	raw := middleware.SerializeMiddlewareFunc("RawBody", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
		if request, ok := in.Request.(*smithyhttp.Request); ok {
			request, err := request.SetStream(strings.NewReader(config))
			if err != nil {
				return middleware.SerializeOutput{}, middleware.Metadata{}, fmt.Errorf("set body: %w", err)
			}
			in.Request = request
		}
		return next.HandleSerialize(ctx, in)
	})
	_, err := s.client.PutBucketLifecycleConfiguration(ctx, &sdk.PutBucketLifecycleConfigurationInput{
		Bucket: &s.bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{}}, TransitionDefaultMinimumObjectSize: minimum,
	}, func(o *sdk.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Serialize.Insert(raw, "OperationSerializer", middleware.After)
		})
	})
	return s.explain(ctx, err)
}
