package redshift

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	provisioned "github.com/aws/aws-sdk-go-v2/service/redshift"
	serverless "github.com/aws/aws-sdk-go-v2/service/redshiftserverless"
	"github.com/aws/smithy-go"

	"arbalest"
)

// A Login gives a user and a password that is good until expires. It is asked
// when a connection is to be made and the last answer is about to expire; a
// connection that is made outlives it. The zero time never expires. Errors wrap
// arbalest.ErrUnavailable, or fs.ErrPermission or arbalest.ErrInvalid, with
// which connecting fails at once.
type Login interface {
	Login(ctx context.Context) (user, password string, expires time.Time, err error)
}

// loginMargin is how long before it expires an answer is not used any more.
const loginMargin = time.Minute

// logins remembers a Login's last answer.
type logins struct {
	login   Login
	secrets *secrets

	mu             sync.Mutex
	user, password string
	expires        time.Time
}

func (l *logins) current(ctx context.Context, now time.Time) (user, password string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.user == "" || !l.expires.IsZero() && !now.Before(l.expires.Add(-loginMargin)) {
		user, password, expires, err := l.login.Login(ctx)
		if err != nil {
			return "", "", fmt.Errorf("get login: %w", err)
		}
		l.secrets.keep(password)
		l.user, l.password, l.expires = user, password, expires
	}
	return l.user, l.password, nil
}

// newLogin makes a Login of IAM's, with the credentials that the AWS SDK finds.
func newLogin(ctx context.Context, loc location, region string) (Login, error) {
	var load []func(*awsconfig.LoadOptions) error
	if region != "" {
		load = append(load, awsconfig.WithRegion(region))
	}
	config, err := awsconfig.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("%w: AWS settings cannot be read: %w", arbalest.ErrInvalid, err)
	}
	if config.Region == "" {
		return nil, fmt.Errorf("%w: logging in by IAM needs a region: add region=us-east-1 to the URL, or set AWS_REGION", arbalest.ErrInvalid)
	}
	if loc.workgroup != "" {
		return &serverlessLogin{serverless.NewFromConfig(config), loc}, nil
	}
	return &provisionedLogin{provisioned.NewFromConfig(config), loc}, nil
}

// A provisionedLogin asks GetClusterCredentials (Management Guide, "Using IAM
// authentication to generate database user credentials"). The identity needs
// redshift:GetClusterCredentials, and redshift:CreateClusterUser and JoinGroup
// where auto_create or db_groups ask for it.
type provisionedLogin struct {
	client *provisioned.Client
	loc    location
}

func (l *provisionedLogin) Login(ctx context.Context) (user, password string, expires time.Time, err error) {
	out, err := l.client.GetClusterCredentials(ctx, &provisioned.GetClusterCredentialsInput{
		ClusterIdentifier: aws.String(l.loc.cluster),
		DbUser:            aws.String(l.loc.user),
		DbName:            aws.String(l.loc.database),
		DbGroups:          l.loc.groups,
		AutoCreate:        aws.Bool(l.loc.create),
	})
	if err != nil {
		return "", "", time.Time{}, loginError("cluster "+l.loc.cluster, err)
	}
	return aws.ToString(out.DbUser), aws.ToString(out.DbPassword), aws.ToTime(out.Expiration), nil
}

// A serverlessLogin asks GetCredentials. The user is the identity's own.
type serverlessLogin struct {
	client *serverless.Client
	loc    location
}

func (l *serverlessLogin) Login(ctx context.Context) (user, password string, expires time.Time, err error) {
	out, err := l.client.GetCredentials(ctx, &serverless.GetCredentialsInput{
		WorkgroupName: aws.String(l.loc.workgroup),
		DbName:        aws.String(l.loc.database),
	})
	if err != nil {
		return "", "", time.Time{}, loginError("workgroup "+l.loc.workgroup, err)
	}
	return aws.ToString(out.DbUser), aws.ToString(out.DbPassword), aws.ToTime(out.Expiration), nil
}

// loginError tells what AWS refused from what may pass. What AWS answered is
// repeated by its code only.
func loginError(of string, err error) error {
	code := "no answer"
	var answer smithy.APIError
	if errors.As(err, &answer) {
		code = answer.ErrorCode()
	}
	var response interface{ HTTPStatusCode() int }
	if errors.As(err, &response) {
		status := response.HTTPStatusCode()
		if 400 <= status && status < 500 && status != 429 && !strings.Contains(code, "Throttl") {
			return fmt.Errorf("%w: credentials of %s are refused (%s): see that the identity may ask for them", fs.ErrPermission, of, code)
		}
	}
	return fmt.Errorf("%w: credentials of %s cannot be had (%s): see that AWS is reached and that the SDK finds an identity (AWS_PROFILE, or the machine's role)", arbalest.ErrUnavailable, of, code)
}
