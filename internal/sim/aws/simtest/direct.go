package simtest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
)

// Client carries requests to the simulator in this process: the same bytes that a connection would carry, without the sockets and goroutines
// that are most of what a small request costs.
func (s *Sim) Client() *http.Client { return &http.Client{Transport: direct{s.handler}} }

// direct has a handler answer requests.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(sent *http.Request) (answer *http.Response, err error) {
	if sent.Body != nil {
		defer func() { _ = sent.Body.Close() }()
	}
	got, err := received(sent)
	if err != nil {
		return nil, err
	}
	defer func() {
		switch r := recover(); {
		case r == nil:
		case r == http.ErrAbortHandler && sent.Context().Err() != nil: //nolint:errorlint // what a handler panics with is no error's chain
			err = sent.Context().Err()
		case r == http.ErrAbortHandler: //nolint:errorlint // likewise
			err = io.EOF // as net/http says that a connection was closed without an answer
		default:
			panic(r)
		}
	}()
	written := httptest.NewRecorder()
	d.handler.ServeHTTP(written, got)
	answer = written.Result()
	answer.Request = sent
	return answer, nil
}

// received is a request as a server sees it.
func received(sent *http.Request) (*http.Request, error) {
	target, err := url.ParseRequestURI(sent.URL.RequestURI())
	if err != nil {
		return nil, errors.Join(errors.New("reading the request's target"), err)
	}
	got := sent.Clone(sent.Context())
	got.URL, got.RequestURI = target, sent.URL.RequestURI()
	if got.Host == "" {
		got.Host = sent.URL.Host
	}
	if got.Body == nil {
		got.Body = http.NoBody
	}
	return got, nil
}
