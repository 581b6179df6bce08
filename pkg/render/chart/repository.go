package chart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.yaml.in/yaml/v3"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

func (p *Puller) client() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.options.CAFile != "" {
		pem, err := os.ReadFile(p.options.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading certificate authorities: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading certificate authorities: %s holds none", p.options.CAFile)
		}
	}
	patience := p.options.Timeout / 4
	return &http.Client{Transport: &http.Transport{
		Proxy: p.options.Proxy, TLSClientConfig: config, ForceAttemptHTTP2: true,
		DialContext:         (&net.Dialer{Timeout: patience}).DialContext,
		TLSHandshakeTimeout: patience, ResponseHeaderTimeout: patience, IdleConnTimeout: 10 * time.Second,
	}}, nil
}

// index is what is read of a repository's index.yaml (https://helm.sh/docs/topics/chart_repository/#the-index-file).
type index struct {
	Entries map[string][]struct {
		Version string   `yaml:"version"`
		Digest  string   `yaml:"digest"`
		URLs    []string `yaml:"urls"`
	} `yaml:"entries"`
}

// fromIndex fetches a chart from a repository with an index.yaml.
func fromIndex(ctx context.Context, client *http.Client, logins logins, s Source) ([]byte, error) {
	base, err := url.Parse(strings.TrimSuffix(s.Repo, "/") + "/")
	if err != nil {
		return nil, err
	}
	body, err := get(ctx, client, logins, base.JoinPath("index.yaml"), maxIndex)
	if err != nil {
		return nil, err
	}
	var all index
	if err := yaml.Unmarshal(body, &all); err != nil {
		return nil, errors.New("its index.yaml is no index of charts")
	}
	entries, ok := all.Entries[s.Name]
	if !ok {
		return nil, errors.New("the repository has no chart of that name")
	}
	for _, e := range entries {
		if strings.TrimPrefix(e.Version, "v") != strings.TrimPrefix(s.Version, "v") || len(e.URLs) == 0 {
			continue
		}
		at, err := base.Parse(e.URLs[0])
		if err != nil {
			return nil, fmt.Errorf("the index names a bad URL: %w", err)
		}
		if at.Scheme != "https" {
			return nil, fmt.Errorf("the index leads to %s://%s; charts come from https", at.Scheme, at.Host)
		}
		archive, err := get(ctx, client, logins, at, maxArchive)
		if err != nil {
			return nil, err
		}
		if want := strings.TrimPrefix(e.Digest, "sha256:"); want != "" && want != digest(archive) {
			return nil, fmt.Errorf("what came is not what the index names: its SHA-256 is %s, not %s", digest(archive), want)
		}
		return archive, nil
	}
	return nil, errors.New("the repository has no such version of the chart")
}

func get(ctx context.Context, client *http.Client, logins logins, at *url.URL, limit int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	if own, ok := logins.of(at.Host); ok {
		request.SetBasicAuth(own.Username, own.Password)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", at.Redacted(), response.Status)
	}
	return limited(response.Body, limit)
}

func limited(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("it is larger than %d MB", limit>>20)
	}
	return body, err
}

// Media types of charts in registries (https://helm.sh/docs/topics/registries/).
const chartLayer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

// fromRegistry fetches a chart from an OCI registry, which names it by digest.
func fromRegistry(ctx context.Context, client *http.Client, logins logins, s Source) ([]byte, error) {
	at := path.Join(strings.TrimPrefix(s.Repo, "oci://"), s.Name)
	repository, err := remote.NewRepository(at)
	if err != nil {
		return nil, err
	}
	repository.Client = &auth.Client{Client: client, Cache: auth.NewCache(), Credential: func(_ context.Context, host string) (auth.Credential, error) {
		own, _ := logins.of(host)
		return own, nil
	}}
	// A tag cannot hold the plus of a version's metadata.
	described, manifest, err := repository.Manifests().FetchReference(ctx, strings.ReplaceAll(s.Version, "+", "_"))
	if err != nil {
		return nil, err
	}
	defer manifest.Close() //nolint:errcheck // read only
	if described.Size > maxArchive {
		return nil, fmt.Errorf("its manifest is larger than %d MB", maxArchive>>20)
	}
	text, err := content.ReadAll(manifest, described)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("its manifest: %w", err)
	}
	for _, layer := range m.Layers {
		if layer.MediaType != chartLayer {
			continue
		}
		if layer.Size > maxArchive {
			return nil, fmt.Errorf("it is larger than %d MB", maxArchive>>20)
		}
		return content.FetchAll(ctx, repository.Blobs(), layer)
	}
	return nil, errors.New("that is not a Helm chart: it has no layer of type " + chartLayer)
}
