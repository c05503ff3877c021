// Package s3test has S3 servers for tests: Fake, in this process, and Start, a
// versitygw over a directory of its own, which is what other clients and
// processes can use too. Both give the URL of a new bucket, for s3.Open, and set
// the credentials in the environment of the test. It also has faults as data,
// between a store and its server. It stores nothing that outlives the test.
package s3test

import (
	"io"
	"log"
	"net/http/httptest"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// The credentials of the servers.
const (
	AccessKey = "arbalesttest"
	SecretKey = "no-secret-at-all"
)

const region = "us-east-1"

// setenv gives the AWS SDK credentials, and hides the user's own.
func setenv(t testing.TB) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey, "AWS_SESSION_TOKEN": "", "AWS_REGION": region,
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
}

// urlOf returns a store's URL.
func urlOf(bucket, endpoint string) string {
	return "s3://" + bucket + "?endpoint=" + endpoint + "&region=" + region + "&path_style=true"
}

// Fake starts gofakes3, which keeps objects in memory and is enough for most
// tests, and returns the URL of an empty bucket. It ends with the test.
func Fake(t testing.TB) (url string) {
	t.Helper()
	setenv(t)
	const bucket = "lake"
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	server := httptest.NewUnstartedServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of clients that leave
	server.Start()
	t.Cleanup(server.Close)
	return urlOf(bucket, server.URL)
}
