package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"arbalest"
)

// defaultRegion is what servers other than AWS take, or do not look at.
const defaultRegion = "us-east-1"

// connect makes the client. It makes no request to S3, but may make one for
// credentials.
func (s *Store) connect(ctx context.Context, loc location) error {
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(newHTTPClient()),
		config.WithLogger(logging.Nop{}),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if loc.region != "" {
		load = append(load, config.WithRegion(loc.region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return fmt.Errorf("%w: read the AWS configuration: %w: check ~/.aws/config and the variables AWS_*", arbalest.ErrInvalid, err)
	}
	s.client = sdk.NewFromConfig(cfg, func(o *sdk.Options) {
		if loc.endpoint != "" {
			o.BaseEndpoint = aws.String(loc.endpoint)
		}
		if o.BaseEndpoint != nil {
			s.endpoint = *o.BaseEndpoint
			if o.Region == "" {
				o.Region = defaultRegion
			}
			o.UsePathStyle = true
		}
		if loc.pathStyle != nil {
			o.UsePathStyle = *loc.pathStyle
		}
		if s.opts.HTTPClient != nil {
			o.HTTPClient = s.opts.HTTPClient
		}
		o.Retryer = newRetryer(s.opts)
		o.APIOptions = append(o.APIOptions, signBody)
		s.region = o.Region
	})
	if s.region == "" {
		return fmt.Errorf("%w: no region is set: add ?region=… to the store's URL, or set AWS_REGION", arbalest.ErrInvalid)
	}
	_, err = s.Credentials(ctx)
	return err
}

// signBody has the signature cover the body also over TLS, where the SDK leaves
// it out: a server refuses what was damaged anywhere on the way.
func signBody(stack *middleware.Stack) error {
	sign := &v4.ComputePayloadSHA256{}
	_, err := stack.Finalize.Swap(sign.ID(), sign)
	return err
}

// Credentials are what signs a request. They do not print.
type Credentials struct {
	AccessKey, Secret string
	SessionToken      string // "" unless they are temporary
}

// String says nothing that is secret.
func (c Credentials) String() string { return "credentials of " + c.AccessKey }

// GoString is String, for %#v.
func (c Credentials) GoString() string { return c.String() }

// Credentials returns those in force now: temporary ones are renewed as they
// expire, so that they are to be asked for anew each time. The error wraps
// fs.ErrPermission if there are none.
func (s *Store) Credentials(ctx context.Context) (Credentials, error) {
	const remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
	provider := s.client.Options().Credentials
	if provider == nil {
		return Credentials{}, fmt.Errorf("%w: no credentials: %s", fs.ErrPermission, remedy)
	}
	c, err := provider.Retrieve(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return Credentials{}, ctx.Err()
		}
		return Credentials{}, fmt.Errorf("%w: no credentials: %w: %s", fs.ErrPermission, err, remedy)
	}
	if !c.HasKeys() {
		return Credentials{}, fmt.Errorf("%w: %w: %s", fs.ErrPermission, errors.New("the credentials are empty"), remedy)
	}
	return Credentials{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}, nil
}

// newHTTPClient returns a client for many small requests at once to one host;
// Go's own keeps two connections, and so makes new ones all the time. It is of
// the SDK's kind, which takes AWS_CA_BUNDLE into account.
func newHTTPClient() *awshttp.BuildableClient {
	const connections = 512
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = connections, connections
		t.IdleConnTimeout = 60 * time.Second
		t.ResponseHeaderTimeout = 2 * time.Minute // joining parts takes long
		t.DisableCompression = true
		t.WriteBufferSize, t.ReadBufferSize = 64<<10, 64<<10
	})
}
