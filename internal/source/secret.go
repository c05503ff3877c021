package source

import (
	"fmt"
	"net/url"
	"strings"

	"arbalest"
)

// hidden stands for a secret.
const hidden = "***"

// clean returns an error's text without the source's secrets.
func (l *link) clean(err error) string {
	if err == nil {
		return "it ended"
	}
	text := err.Error()
	for _, secret := range l.opts.secrets() {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return text
}

// secrets are the texts that no one may see, the longest spelling first.
func (o Options) secrets() []string {
	var all []string
	for _, address := range strings.Split(o.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.User == nil {
			continue
		}
		password, ok := u.User.Password()
		if !ok && o.Kind == NATS { // nats://token@host
			password = u.User.Username()
		}
		all = append(all, u.User.String(), url.QueryEscape(password), password)
	}
	if o.SASL != nil {
		all = append(all, o.SASL.Password)
	}
	kept := all[:0]
	for _, s := range all {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}

// checkURL looks at a URL whose error would show the password.
func checkURL(address string, schemes ...string) error {
	u, err := url.Parse(strings.TrimSpace(address))
	if err == nil && u.Host != "" {
		for _, s := range schemes {
			if u.Scheme == s {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: url: want %s://user:${PASSWORD}@host:port (a password's special characters are spelled %%40 and so on)", arbalest.ErrInvalid, schemes[0])
}
