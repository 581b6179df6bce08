package git

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Options say what a Server asks for. The zero value lets everybody read over http.
type Options struct {
	// TLS serves https with a certificate that CA signs.
	TLS bool
	// User and Password are asked for over http(s) when Password is set; Token is taken as a bearer token when set.
	User, Password, Token string
}

// Server serves the repositories below a folder.
type Server struct {
	// URL is the address of the folder: a repository is URL + "/name.git".
	URL string
	// CA is the certificate that clients must trust, in PEM.
	CA []byte

	folder   string
	listener net.Listener
	server   *http.Server
	done     chan struct{}

	mu      sync.Mutex
	options Options
	counts  map[string]int
	faults  []*fault
}

// Fault is something that goes wrong with a request.
type Fault struct {
	// Path selects requests whose path and query contain it.
	Path string
	// Status is answered instead of the truth.
	Status int
	// Body is the text that goes with Status.
	Body string
	// Hang holds the request until the client gives up.
	Hang bool
	// Cut drops the connection after so many bytes of the answer.
	Cut int
}

type fault struct {
	Fault
	left int
}

// Serve serves the repositories of a folder over http or https until Close.
func Serve(folder string, o Options) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, listener: listener, options: o, counts: map[string]int{}, done: make(chan struct{})}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	s.URL = "http://" + listener.Addr().String()
	if o.TLS {
		certificate, ca, err := selfSigned()
		if err != nil {
			_ = listener.Close()
			return nil, err
		}
		s.CA, s.URL = ca, "https://"+listener.Addr().String()
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	}
	go func() { defer close(s.done); _ = s.server.Serve(listener) }()
	return s, nil
}

// Close ends all connections.
func (s *Server) Close() {
	_ = s.server.Close()
	<-s.done
}

// Require changes what is asked for.
func (s *Server) Require(o Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options = o
}

// Inject makes the next requests go wrong; times below zero means all of them.
func (s *Server) Inject(f Fault, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{Fault: f, left: times})
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Requests tells how many requests listed references and how many fetched objects since the last call.
func (s *Server) Requests() (listed, fetched int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed, fetched = s.counts["refs"], s.counts["pack"]
	s.counts = map[string]int{}
	return listed, fetched
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	options, wrong := s.count(r)
	if wrong != nil {
		switch {
		case wrong.Hang:
			<-r.Context().Done()
			return
		case wrong.Status != 0:
			http.Error(w, wrong.Body, wrong.Status)
			return
		case wrong.Cut > 0:
			w = &cutter{ResponseWriter: w, left: wrong.Cut}
		}
	}
	if !options.admits(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	programs, err := exec.CommandContext(r.Context(), "git", "--exec-path").Output()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"), Root: "/",
		Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: append(environment(), "GIT_PROJECT_ROOT="+s.folder, "GIT_HTTP_EXPORT_ALL=1"),
	}).ServeHTTP(w, r)
}

func (s *Server) count(r *http.Request) (Options, *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/info/refs"):
		s.counts["refs"]++
	case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
		s.counts["pack"]++
	}
	for _, f := range s.faults {
		if f.left != 0 && strings.Contains(r.URL.RequestURI(), f.Path) {
			f.left--
			wrong := f.Fault
			return s.options, &wrong
		}
	}
	return s.options, nil
}

func (o Options) admits(r *http.Request) bool {
	if o.Password == "" && o.Token == "" {
		return true
	}
	equal := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	if user, password, ok := r.BasicAuth(); ok && o.Password != "" {
		return equal(user, o.User) && equal(password, o.Password)
	}
	return o.Token != "" && equal(r.Header.Get("Authorization"), "Bearer "+o.Token)
}

// cutter drops the connection in the middle of an answer.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) >= c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// selfSigned makes a certificate for the loopback.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
