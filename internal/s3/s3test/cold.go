package s3test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// A ColdServer is Fake with storage classes, restoring, lifecycle rules and the
// conditions of copies. No server that could be had here has all of these, so this
// one is written from documentation, the SDK's comments and the S3 User Guide, and
// was never held against a real S3: what those do not say, it does not know.
//
// It has a clock of its own, which begins now, and which only Advance moves. Rules
// are kept and not obeyed.
type ColdServer struct {
	URL string // of an empty bucket

	next http.Handler // gofakes3

	mu        sync.Mutex
	now       time.Time
	objects   map[string]*coldObject // by path, those that are not STANDARD
	uploads   map[string]string      // class, by id
	lifecycle string                 // the configuration, "" for none
	minimum   string                 // that is in force with it
}

// A coldObject is one that is not in STANDARD.
type coldObject struct {
	class string
	ready time.Time // when what was asked for is restored; zero if nothing was
	until time.Time // when the copy is gone again
}

// allClasses128K is the minimum size of transitions unless another is asked for.
const allClasses128K = "all_storage_classes_128K"

// Cold starts a ColdServer, which ends with the test.
func Cold(t testing.TB) *ColdServer {
	t.Helper()
	setenv(t)
	const bucket = "lake"
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	c := &ColdServer{
		next: gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server(),
		now:  time.Now().UTC(), objects: map[string]*coldObject{}, uploads: map[string]string{}, minimum: allClasses128K,
	}
	server := httptest.NewUnstartedServer(c)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	c.URL = urlOf(bucket, server.URL)
	return c
}

// Advance moves the clock on.
func (c *ColdServer) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Lifecycle returns the bucket's lifecycle configuration as XML, "" for none, and
// the minimum size of transitions.
func (c *ColdServer) Lifecycle() (xml, minimum string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lifecycle, c.minimum
}

// SetLifecycle is Lifecycle's inverse.
func (c *ColdServer) SetLifecycle(xml, minimum string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lifecycle, c.minimum = xml, minimum
}

// A coldError is an answer that is none of the object's.
type coldError struct {
	status int
	code   string
}

var (
	errFrozen       = &coldError{http.StatusForbidden, "InvalidObjectState"}
	errFrozenSource = &coldError{http.StatusForbidden, "ObjectNotInActiveTierError"}
	errRestoring    = &coldError{http.StatusConflict, "RestoreAlreadyInProgress"}
	errCondition    = &coldError{http.StatusPreconditionFailed, "PreconditionFailed"}
	errNoKey        = &coldError{http.StatusNotFound, "NoSuchKey"}
	errRequest      = &coldError{http.StatusBadRequest, "InvalidRequest"}
	errXML          = &coldError{http.StatusBadRequest, "MalformedXML"}
	errClass        = &coldError{http.StatusBadRequest, "InvalidStorageClass"}
	errNoRules      = &coldError{http.StatusNotFound, "NoSuchLifecycleConfiguration"}
)

// ServeHTTP answers what gofakes3 does not, and passes on the rest.
func (c *ColdServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	class := r.Header.Get("X-Amz-Storage-Class")
	r.Header.Del("X-Amz-Storage-Class")
	source := r.Header.Get("X-Amz-Copy-Source")
	var err *coldError
	switch {
	case class != "" && !strings.Contains(" STANDARD STANDARD_IA ONEZONE_IA INTELLIGENT_TIERING GLACIER_IR GLACIER DEEP_ARCHIVE ", " "+class+" "):
		err = errClass
	case query.Has("lifecycle"):
		err = c.rules(w, r)
	case query.Has("restore"):
		err = c.restore(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		err = c.read(w, r)
	case query.Has("uploads"):
		c.begin(w, r, class)
	case query.Has("partNumber") && source != "":
		err = c.copyPart(w, r, source)
	case query.Has("partNumber"):
		c.next.ServeHTTP(w, r)
	case query.Has("uploadId") && r.Method == http.MethodPost:
		err = c.complete(w, r, query.Get("uploadId"))
	case source != "":
		err = c.copy(w, r, source, class)
	case r.Method == http.MethodPut || r.Method == http.MethodDelete:
		answer := httptest.NewRecorder()
		c.next.ServeHTTP(answer, r)
		c.set(r.URL.Path, class, answer.Code < 300)
		give(w, answer)
	default:
		c.next.ServeHTTP(w, r)
	}
	if err == nil {
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(err.status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as documented</Message></Error>", err.code)
	}
}

// set notes an object's class after a write, if that was done.
func (c *ColdServer) set(path, class string, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !done:
	case class == "" || class == "STANDARD":
		delete(c.objects, path)
	default:
		c.objects[path] = &coldObject{class: class}
	}
}

// state returns an object, a STANDARD one if nothing is known, and whether it has
// to be restored. The caller holds c.mu.
func (c *ColdServer) state(path string) (o coldObject, frozen bool) {
	if there := c.objects[path]; there != nil {
		o = *there
	}
	if !c.now.Before(o.until) { // the copy is gone
		o.ready, o.until = time.Time{}, time.Time{}
	}
	archive := o.class == "GLACIER" || o.class == "DEEP_ARCHIVE"
	return o, archive && (o.ready.IsZero() || c.now.Before(o.ready))
}

func (c *ColdServer) isFrozen(path string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, frozen := c.state(path)
	return frozen
}

// read answers GET and HEAD.
func (c *ColdServer) read(w http.ResponseWriter, r *http.Request) *coldError {
	c.mu.Lock()
	o, frozen := c.state(r.URL.Path)
	ready := c.now.Before(o.ready)
	c.mu.Unlock()
	if frozen && r.Method == http.MethodGet {
		return errFrozen
	}
	if o.class != "" {
		w.Header().Set("X-Amz-Storage-Class", o.class)
	}
	switch {
	case ready:
		w.Header().Set("X-Amz-Restore", `ongoing-request="true"`)
	case !o.ready.IsZero():
		w.Header().Set("X-Amz-Restore", fmt.Sprintf(`ongoing-request="false", expiry-date=%q`, o.until.Format(http.TimeFormat)))
	}
	c.next.ServeHTTP(w, r)
	return nil
}

// ask asks gofakes3 for an object.
func (c *ColdServer) ask(method, path string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://fake"+(&url.URL{Path: path}).EscapedPath(), nil)
	r.Header = header
	w := httptest.NewRecorder()
	c.next.ServeHTTP(w, r)
	return w
}

// etag returns an object's, "" if there is none.
func (c *ColdServer) etag(path string) string {
	answer := c.ask(http.MethodHead, path, http.Header{})
	if answer.Code != http.StatusOK {
		return ""
	}
	return answer.Header().Get("ETag")
}

// sourceOf returns the path of a copy's source and its ETag, if the copy may be.
func (c *ColdServer) sourceOf(r *http.Request, source string) (path, etag string, err *coldError) {
	path, badPath := url.PathUnescape(source)
	if badPath != nil {
		return "", "", errRequest
	}
	path = "/" + strings.TrimPrefix(path, "/")
	etag = c.etag(path)
	want := r.Header.Get("X-Amz-Copy-Source-If-Match")
	switch {
	case etag == "":
		return "", "", errNoKey
	case want != "" && want != etag:
		return "", "", errCondition
	case c.isFrozen(path):
		return "", "", errFrozenSource
	}
	return path, etag, nil
}

// onTarget holds the condition on what is overwritten.
func (c *ColdServer) onTarget(r *http.Request) *coldError {
	want := r.Header.Get("If-Match")
	if want == "" {
		return nil
	}
	switch c.etag(r.URL.Path) {
	case want:
		return nil
	case "":
		return errNoKey
	}
	return errCondition
}

// copy answers CopyObject. Bytes that stay where they are are not copied.
func (c *ColdServer) copy(w http.ResponseWriter, r *http.Request, source, class string) *coldError {
	path, etag, err := c.sourceOf(r, source)
	if err == nil {
		err = c.onTarget(r)
	}
	if err != nil {
		return err
	}
	if path != r.URL.Path {
		c.next.ServeHTTP(w, r)
		c.set(r.URL.Path, class, true)
		return nil
	}
	c.mu.Lock()
	o, _ := c.state(path)
	now := c.now
	c.mu.Unlock()
	if o.class == class || o.class == "" && class == "STANDARD" {
		return errRequest // a copy that changes nothing
	}
	c.set(path, class, true)
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, "<CopyObjectResult><LastModified>%s</LastModified><ETag>%s</ETag></CopyObjectResult>", now.Format("2006-01-02T15:04:05.000Z"), xmlText(etag))
	return nil
}

// begin answers CreateMultipartUpload.
func (c *ColdServer) begin(w http.ResponseWriter, r *http.Request, class string) {
	answer := httptest.NewRecorder()
	c.next.ServeHTTP(answer, r)
	var begun struct {
		UploadId string
	}
	if xml.Unmarshal(answer.Body.Bytes(), &begun) == nil {
		c.mu.Lock()
		c.uploads[begun.UploadId] = class
		c.mu.Unlock()
	}
	give(w, answer)
}

// copyPart answers UploadPartCopy, which gofakes3 does not know, by UploadPart.
func (c *ColdServer) copyPart(w http.ResponseWriter, r *http.Request, source string) *coldError {
	path, _, err := c.sourceOf(r, source)
	if err != nil {
		return err
	}
	part := c.ask(http.MethodGet, path, http.Header{"Range": {r.Header.Get("X-Amz-Copy-Source-Range")}})
	if part.Code >= 300 {
		return errRequest
	}
	put := httptest.NewRequest(http.MethodPut, "http://fake"+r.URL.RequestURI(), bytes.NewReader(part.Body.Bytes()))
	put.ContentLength = int64(part.Body.Len())
	put.Header.Set("Content-Length", strconv.Itoa(part.Body.Len()))
	answer := httptest.NewRecorder()
	c.next.ServeHTTP(answer, put)
	if answer.Code >= 300 {
		give(w, answer)
		return nil
	}
	fmt.Fprintf(w, "<CopyPartResult><ETag>%s</ETag></CopyPartResult>", xmlText(answer.Header().Get("ETag")))
	return nil
}

// complete answers CompleteMultipartUpload.
func (c *ColdServer) complete(w http.ResponseWriter, r *http.Request, id string) *coldError {
	if err := c.onTarget(r); err != nil {
		return err
	}
	answer := httptest.NewRecorder()
	c.next.ServeHTTP(answer, r)
	c.mu.Lock()
	class := c.uploads[id]
	c.mu.Unlock()
	c.set(r.URL.Path, class, answer.Code == http.StatusOK)
	give(w, answer)
	return nil
}

func give(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// restore answers RestoreObject: 202 if it begins, 200 if the copy is there, whose
// time it changes.
func (c *ColdServer) restore(w http.ResponseWriter, r *http.Request) *coldError {
	wish := struct {
		Days int
		Tier string `xml:"GlacierJobParameters>Tier"`
	}{Tier: "Standard"}
	if err := xml.NewDecoder(r.Body).Decode(&wish); err != nil || wish.Days < 1 {
		return errXML
	}
	if c.etag(r.URL.Path) == "" {
		return errNoKey
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o, frozen := c.state(r.URL.Path)
	takes, known := map[string]time.Duration{
		"GLACIER Expedited": 5 * time.Minute, "GLACIER Standard": 5 * time.Hour, "GLACIER Bulk": 12 * time.Hour,
		"DEEP_ARCHIVE Standard": 12 * time.Hour, "DEEP_ARCHIVE Bulk": 48 * time.Hour,
	}[o.class+" "+wish.Tier]
	switch {
	case o.class != "GLACIER" && o.class != "DEEP_ARCHIVE":
		return errFrozen // "Restore is not allowed for the object's current storage class"
	case !known:
		return errRequest
	case frozen && !o.ready.IsZero():
		return errRestoring
	case frozen:
		o.ready = c.now.Add(takes)
		o.until = midnight(o.ready.AddDate(0, 0, wish.Days))
		w.WriteHeader(http.StatusAccepted)
	default:
		o.until = midnight(c.now.AddDate(0, 0, wish.Days))
	}
	c.objects[r.URL.Path] = &o
	return nil
}

// midnight returns the first midnight of UTC that is not before t.
func midnight(t time.Time) time.Time {
	const day = 24 * time.Hour
	return t.Add(day - 1).Truncate(day)
}

const minimumHeader = "X-Amz-Transition-Default-Minimum-Object-Size"

// rules answers what is asked of the lifecycle configuration. One that is put takes
// the place of all that was.
func (c *ColdServer) rules(w http.ResponseWriter, r *http.Request) *coldError {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		if c.lifecycle == "" {
			return errNoRules
		}
		w.Header().Set(minimumHeader, c.minimum)
		_, _ = io.WriteString(w, c.lifecycle)
	case http.MethodDelete:
		c.lifecycle, c.minimum = "", allClasses128K
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPut:
		if err := validRules(r, body); err != nil {
			return err
		}
		c.lifecycle = string(body)
		if c.minimum = r.Header.Get(minimumHeader); c.minimum == "" {
			c.minimum = allClasses128K
		}
		w.Header().Set(minimumHeader, c.minimum)
	}
	return nil
}

// validRules says what is wrong with a configuration, as far as it is documented.
func validRules(r *http.Request, body []byte) *coldError {
	var config struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LifecycleConfiguration"`
		Rules   []struct {
			ID, Status string
			Filter     *struct {
				Prefix *string
				And    *struct{ Prefix *string }
			}
			Prefix *string
		} `xml:"Rule"`
	}
	if err := xml.Unmarshal(body, &config); err != nil || len(config.Rules) == 0 {
		return errXML
	}
	sum := r.Header.Get("Content-Md5")
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			sum += r.Header.Get(name)
		}
	}
	if sum == "" || len(config.Rules) > 1000 {
		return errRequest
	}
	ids := map[string]bool{}
	for _, rule := range config.Rules {
		if rule.ID != "" && ids[rule.ID] || len(rule.ID) > 255 {
			return errRequest
		}
		ids[rule.ID] = true
		if rule.Status != "Enabled" && rule.Status != "Disabled" || (rule.Filter == nil) == (rule.Prefix == nil) {
			return errXML
		}
	}
	return nil
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
