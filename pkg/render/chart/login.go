package chart

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// logins are those of a docker config.json by host.
type logins map[string]auth.Credential

// readLogins reads a docker config.json. Programs that it names for credentials are not run.
func readLogins(file string) (logins, error) {
	if file == "" {
		return nil, nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the logins: %w", err)
	}
	var config struct {
		Auths map[string]struct {
			Auth          string `json:"auth"`
			Username      string `json:"username"`
			Password      string `json:"password"`
			IdentityToken string `json:"identitytoken"`
			RegistryToken string `json:"registrytoken"`
		} `json:"auths"`
	}
	if json.Unmarshal(body, &config) != nil {
		// What JSON says of it would quote it.
		return nil, fmt.Errorf("reading the logins: %s is not a config.json of docker", file)
	}
	out := logins{}
	for at, a := range config.Auths {
		own := auth.Credential{Username: a.Username, Password: a.Password, RefreshToken: a.IdentityToken, AccessToken: a.RegistryToken}
		if a.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(a.Auth)
			user, password, ok := strings.Cut(string(plain), ":")
			if err != nil || !ok {
				return nil, fmt.Errorf("reading the logins: %s: the auth of %s is not user:password in base64", file, at)
			}
			own.Username, own.Password = user, strings.TrimRight(password, "\x00")
		}
		out[host(at)] = own
	}
	if len(out) == 0 {
		return nil, errors.New("reading the logins: " + file + " has no auths")
	}
	return out, nil
}

// host is the host of a key of auths, which may be a URL.
func host(at string) string {
	_, rest, isURL := strings.Cut(at, "://")
	if !isURL {
		rest = at
	}
	rest, _, _ = strings.Cut(rest, "/")
	return rest
}

func (l logins) of(at string) (auth.Credential, bool) {
	own, ok := l[at]
	if !ok && at == "registry-1.docker.io" {
		own, ok = l["index.docker.io"]
	}
	return own, ok
}
