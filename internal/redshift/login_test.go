package redshift

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"arbalest"
)

// TestIAMLogin asks a server that answers as AWS does.
func TestIAMLogin(t *testing.T) {
	answer := http.StatusOK
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = string(body)
		w.WriteHeader(answer)
		switch target := r.Header.Get("X-Amz-Target"); {
		case answer != http.StatusOK && target == "":
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ClusterNotFound</Code><Message>secret</Message></Error></ErrorResponse>`)
		case answer != http.StatusOK:
			fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"secret"}`)
		case target == "":
			fmt.Fprint(w, `<GetClusterCredentialsResponse><GetClusterCredentialsResult><DbUser>IAMA:loader</DbUser><DbPassword>temporary</DbPassword><Expiration>2030-01-01T00:00:00Z</Expiration></GetClusterCredentialsResult></GetClusterCredentialsResponse>`)
		default:
			fmt.Fprint(w, `{"dbUser":"IAM:loader","dbPassword":"temporary","expiration":1893456000}`)
		}
	}))
	defer server.Close()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_MAX_ATTEMPTS": "1",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": ""} {
		t.Setenv(name, value)
	}
	for _, c := range []struct{ url, user, asks string }{
		{"redshift://loader@h/dev?cluster=main&auto_create=true&db_groups=a,b", "IAMA:loader", "Action=GetClusterCredentials&AutoCreate=true&ClusterIdentifier=main&DbGroups.DbGroup.1=a&DbGroups.DbGroup.2=b&DbName=dev&DbUser=loader"},
		{"redshift://h/dev?workgroup=main", "IAM:loader", `{"dbName":"dev","workgroupName":"main"}`},
	} {
		loc, err := parseLocation(c.url, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newLogin(t.Context(), loc, ""); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("no region: %v", err)
		}
		l, err := newLogin(t.Context(), loc, "eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		answer = http.StatusOK
		user, password, expires, err := l.Login(t.Context())
		if err != nil || user != c.user || password != "temporary" || expires.Unix() != 1893456000 || !strings.HasPrefix(asked, c.asks) {
			t.Errorf("%s, %v, %v, asked %s", user, expires, err, asked)
		}
		for status, want := range map[int]error{http.StatusBadRequest: fs.ErrPermission, http.StatusServiceUnavailable: arbalest.ErrUnavailable} {
			answer = status
			if _, _, _, err := l.Login(t.Context()); !errors.Is(err, want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%d: %v", status, err)
			}
		}
	}
}
