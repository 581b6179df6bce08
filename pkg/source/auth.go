package source

import (
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Credentials name the files that hold them. The files are read for every exchange, so a rotated secret is used at once;
// nothing is read that the server cannot ask for. A trailing line break is not part of a secret.
type Credentials struct {
	// Username is sent with the password or token; for ssh it is the login (default "git").
	Username string
	// PasswordFile holds the password; for ssh, the passphrase of the key.
	PasswordFile string
	// TokenFile holds a token. It is sent as a bearer token, or, with a Username, as the password, as GitHub and GitLab want it.
	TokenFile string
	// SSHKeyFile holds the private key.
	SSHKeyFile string
	// KnownHostsFile holds the host keys of ssh servers, in the format of OpenSSH's known_hosts. Without it no ssh server is trusted.
	KnownHostsFile string
	// SSHAgent is the socket of an ssh agent, asked when there is no SSHKeyFile; empty means none.
	SSHAgent string
	// CAFile holds further certificate authorities for https, in PEM.
	CAFile string
}

// read reads a credential file; "" for no file.
func (Credentials) read(what, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return "", gitops.Errorf(gitops.SourceDenied, "reading %s in %s: %w", what, file, cause(err))
	}
	text := strings.TrimRight(string(body), "\r\n")
	if strings.TrimSpace(text) == "" {
		return "", gitops.Errorf(gitops.SourceDenied, "reading %s in %s: the file is empty", what, file)
	}
	return text, nil
}

// login is what an HTTP server is told.
type login struct{ user, password, token string }

// web reads what https may need. Files win over what the URL carries.
func (c Credentials) web(in *url.Userinfo) (login, error) {
	var l login
	var err error
	if in != nil {
		l.user = in.Username()
		l.password, _ = in.Password()
	}
	if c.Username != "" {
		l.user = c.Username
	}
	if password, err := c.read("the password", c.PasswordFile); err != nil {
		return l, err
	} else if password != "" {
		l.password = password
	}
	if l.token, err = c.read("the token", c.TokenFile); err != nil {
		return l, err
	}
	if l.token != "" && l.user != "" {
		l.password, l.token = l.token, ""
	}
	for _, secret := range []string{l.user, l.token} {
		// A header cannot hold it, and net/http's error would quote it.
		if strings.ContainsAny(secret, "\r\n\x00") {
			return login{}, gitops.Errorf(gitops.SourceDenied, "reading the credentials: a name or token spans lines")
		}
	}
	return l, nil
}

// scrub removes a login's secrets from a message of the server or of a library.
func (l login) scrub(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, secret := range []string{l.password, l.token} {
		if len(secret) > 3 {
			clean = strings.ReplaceAll(clean, secret, "***")
			clean = strings.ReplaceAll(clean, url.QueryEscape(secret), "***")
		}
	}
	if clean == text {
		return err
	}
	return scrubbed{text: clean, cause: err}
}

// scrubbed is an error under another text; its cause can be asked for but never printed.
type scrubbed struct {
	text  string
	cause error
}

func (s scrubbed) Error() string        { return s.text }
func (s scrubbed) Is(target error) bool { return errors.Is(s.cause, target) }
