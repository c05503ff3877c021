package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"arbalest"
	"arbalest/internal/blob"
)

// status returns the HTTP status of an error, 0 if there was no answer.
func status(err error) int {
	var r *smithyhttp.ResponseError
	if errors.As(err, &r) {
		return r.HTTPStatusCode()
	}
	return 0
}

// code returns S3's code of an error, "" if it gave none.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// isCold says of an error that an object has to be thawed to be read.
func isCold(err error) bool { return meanings[code(err)].err == arbalest.ErrCold }

// A meaning is what an answer of S3 stands for, and what to do.
type meaning struct {
	err    error
	remedy string
}

// meanings are those of S3's codes. Those of statuses apply to the rest.
var meanings = map[string]meaning{
	"InvalidAccessKeyId":                    {fs.ErrPermission, "check AWS_ACCESS_KEY_ID or AWS_PROFILE: the server does not know this key"},
	"SignatureDoesNotMatch":                 {fs.ErrPermission, "check AWS_SECRET_ACCESS_KEY: it does not belong to the access key"},
	"ExpiredToken":                          {fs.ErrPermission, "renew the temporary credentials"},
	"RequestTimeTooSkewed":                  {fs.ErrPermission, "set this machine's clock"},
	"InvalidObjectState":                    {arbalest.ErrCold, blob.ThawFirst},
	"ObjectNotInActiveTierError":            {arbalest.ErrCold, blob.ThawFirst},
	"InvalidStorageClass":                   {arbalest.ErrInvalid, "this server has no such storage class"},
	"GlacierExpeditedRetrievalNotAvailable": {arbalest.ErrUnavailable, "S3 has no room for Expedited now: retry later, or ask for Standard"},
	"AuthorizationHeaderMalformed":          {arbalest.ErrInvalid, "the bucket is in another region: set region in the store's URL, or AWS_REGION"},
	"PermanentRedirect":                     {arbalest.ErrInvalid, "the bucket is in another region: set region in the store's URL, or AWS_REGION"},
	"NoSuchUpload":                          {arbalest.ErrUnavailable, "retry: the upload was aborted by somebody else"},
	"KeyTooLongError":                       {arbalest.ErrInvalid, "this server cannot hold the key"},
	// versitygw on a file system.
	"ObjectParentIsFile": {arbalest.ErrInvalid, "a key cannot be the folder of another on this server"},
	isDirectory:          {arbalest.ErrInvalid, "a key cannot be the folder of another on this server"},
	"XAdminUserNotFound": {fs.ErrPermission, "check AWS_ACCESS_KEY_ID or AWS_PROFILE: the server does not know this key"},
}

// explain wraps an error of the SDK in the sentinel that it stands for, and says
// what to do. Errors of the context and of the body pass.
func (s *Store) explain(ctx context.Context, err error) error {
	var ours bodyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return fmt.Errorf("read body: %w", ours.error)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNotKept):
		return fmt.Errorf("%w: %w: retry, and tell who keeps %s", arbalest.ErrUnavailable, err, s.server())
	}
	m, known := meanings[code(err)]
	if !known {
		m = s.meaningOf(code(err), status(err))
	}
	if m.err == arbalest.ErrUnknown {
		return m.err // of an object: there is no more to say
	}
	return fmt.Errorf("%w: %w: %s", m.err, err, m.remedy)
}

func (s *Store) meaningOf(code string, status int) meaning {
	switch {
	case code == "NoSuchBucket":
		return meaning{arbalest.ErrUnavailable, "the bucket " + s.bucket + " is gone from " + s.server()}
	case status == http.StatusNotFound && (code == "NoSuchKey" || code == "NotFound" || code == ""):
		return meaning{err: arbalest.ErrUnknown}
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return meaning{fs.ErrPermission, "check that the credentials and the bucket's policy allow s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket (without the last S3 answers so for an object that is not there), and for cold storage classes s3:RestoreObject, s3:GetLifecycleConfiguration and s3:PutLifecycleConfiguration"}
	case status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect:
		return meaning{arbalest.ErrInvalid, "the bucket is in another region: set region in the store's URL, or AWS_REGION"}
	case status == 0:
		return meaning{arbalest.ErrUnavailable, "check that " + s.server() + " can be reached"}
	case status == http.StatusNotImplemented:
		return meaning{arbalest.ErrInvalid, "this server lacks what is asked of it"}
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusConflict:
		return meaning{arbalest.ErrUnavailable, "retry, and send fewer requests at once if it persists"}
	}
	return meaning{arbalest.ErrInvalid, "this server refuses the request"}
}

// server names whom requests go to.
func (s *Store) server() string {
	if s.endpoint != "" {
		return s.endpoint
	}
	return "S3 in " + s.region
}
