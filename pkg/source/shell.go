package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// shell is a repository behind ssh. go-git's own ssh transport reads the user's configuration from the environment and
// does not end with its context while it dials, so the few steps are taken here.
type shell struct {
	url     *url.URL
	user    string
	options Options
}

func (s shell) watch(context.Context, func()) bool { return false }

func (s shell) connect(ctx context.Context) (exchange, error) {
	address := s.url.Host
	if s.url.Port() == "" {
		address = net.JoinHostPort(s.url.Hostname(), "22")
	}
	config, verified, done, err := s.config(ctx, address)
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// The handshake and everything after it know no context: closing the connection ends them.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	fail := func(err error) (exchange, error) {
		stop()
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	secure, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return fail(handshake(err, *verified, s.login()))
	}
	client := ssh.NewClient(secure, channels, requests)
	x, err := s.start(client)
	if err != nil {
		_ = client.Close()
		return fail(err)
	}
	x.stop = stop
	return &wire{session: x}, nil
}

func (s shell) login() string {
	switch {
	case s.options.Credentials.Username != "":
		return s.options.Credentials.Username
	case s.user != "":
		return s.user
	}
	return "git"
}

// config gathers keys and host keys. verified turns true when the server has shown a trusted key; done releases the agent.
func (s shell) config(ctx context.Context, address string) (config *ssh.ClientConfig, verified *bool, done func(), err error) {
	c := s.options.Credentials
	if c.KnownHostsFile == "" {
		e := gitops.Errorf(gitops.SourceDenied, "trusting %s: there is no known_hosts file", address)
		e.Try = "ssh-keyscan the host, check the key, and name the file with --git-known-hosts-file"
		return nil, nil, nil, e
	}
	known, err := knownhosts.NewDB(c.KnownHostsFile)
	if err != nil {
		return nil, nil, nil, gitops.Errorf(gitops.SourceDenied, "reading the known hosts in %s: %w", c.KnownHostsFile, err)
	}
	method, done, err := s.method(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	verified = new(bool)
	check := known.HostKeyCallback()
	return &ssh.ClientConfig{
		User: s.login(), Auth: []ssh.AuthMethod{method}, Timeout: s.options.Answer,
		// Without this the server may offer a key of a kind that known_hosts does not list, which looks like an attack.
		HostKeyAlgorithms: known.HostKeyAlgorithms(address),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			if err := check(host, remote, key); err != nil {
				return hostKey(host, c.KnownHostsFile, err)
			}
			*verified = true
			return nil
		},
	}, verified, done, nil
}

func (s shell) method(ctx context.Context) (ssh.AuthMethod, func(), error) {
	c := s.options.Credentials
	if c.SSHKeyFile == "" {
		if c.SSHAgent == "" {
			return nil, nil, gitops.Errorf(gitops.SourceDenied, "logging in over ssh: there is neither a key file nor an agent")
		}
		socket, err := (&net.Dialer{}).DialContext(ctx, "unix", c.SSHAgent)
		if err != nil {
			return nil, nil, gitops.Errorf(gitops.SourceDenied, "asking the ssh agent: %w", err)
		}
		return ssh.PublicKeysCallback(agent.NewClient(socket).Signers), func() { _ = socket.Close() }, nil
	}
	pem, err := c.read("the ssh key", c.SSHKeyFile)
	if err != nil {
		return nil, nil, err
	}
	signer, err := ssh.ParsePrivateKey([]byte(pem + "\n"))
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked && c.PasswordFile != "" {
		var phrase string
		if phrase, err = c.read("the passphrase", c.PasswordFile); err == nil {
			signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(pem+"\n"), []byte(phrase))
		}
	}
	if err != nil {
		return nil, nil, gitops.Errorf(gitops.SourceDenied, "reading the ssh key in %s: %w", c.SSHKeyFile, err)
	}
	return ssh.PublicKeys(signer), func() {}, nil
}

func hostKey(host, file string, err error) error {
	switch {
	case knownhosts.IsHostKeyChanged(err):
		e := gitops.Errorf(gitops.SourceDenied, "trusting %s: its host key is not the one in %s", host, file)
		e.Try = "find out whether the server changed its key; if it did, replace the line"
		return e
	case knownhosts.IsHostUnknown(err):
		e := gitops.Errorf(gitops.SourceDenied, "trusting %s: %s has no key for it", host, file)
		e.Try = "ssh-keyscan the host, check the key, and add it"
		return e
	}
	return gitops.Errorf(gitops.SourceDenied, "trusting %s: %w", host, err)
}

// handshake sorts out why a connection was not made: after the host was trusted, all that a server refuses is the login.
func handshake(err error, verified bool, user string) error {
	if e, ok := errors.AsType[*gitops.Error](err); ok {
		return e
	}
	if _, network := errors.AsType[net.Error](err); verified && !network && !errors.Is(err, io.EOF) {
		return gitops.Errorf(gitops.SourceDenied, "logging in as %s: %w", user, err)
	}
	return err
}

// start runs git-upload-pack at the other end.
func (s shell) start(client *ssh.Client) (*pipe, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	p := &pipe{client: client, session: session, problem: &tail{}}
	session.Stderr = p.problem
	if p.in, err = session.StdinPipe(); err != nil {
		return nil, err
	}
	if p.out, err = session.StdoutPipe(); err != nil {
		return nil, err
	}
	return p, session.Start("git-upload-pack " + quoted(s.path()))
}

// path is what the server is asked for: as git has it, "/~user/x" is relative to a home.
func (s shell) path() string {
	if strings.HasPrefix(s.url.Path, "/~") {
		return s.url.Path[1:]
	}
	return s.url.Path
}

// quoted protects a path from the shell at the other end, as git does.
func quoted(path string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}

// pipe is a session with git-upload-pack over its standard streams.
type pipe struct {
	client  *ssh.Client
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	problem *tail
	stop    func() bool
}

func (p *pipe) Close() error {
	if p.stop != nil {
		p.stop()
	}
	return p.client.Close()
}

func (p *pipe) AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	if err := adv.Decode(p.out); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, packp.ErrEmptyAdvRefs):
			return nil, transport.ErrEmptyRemoteRepository
		}
		return nil, p.explain(err)
	}
	if adv.IsEmpty() {
		return nil, transport.ErrEmptyRemoteRepository
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, nil
}

// lastWords is how long a server that ended the conversation has to say why: its two streams come independently of each other.
const lastWords = time.Second

// explain prefers what the server wrote for people.
func (p *pipe) explain(err error) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.session.Wait() // the end of the program at the other side, and of what it wrote
	}()
	late := time.NewTimer(lastWords)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	}
	_ = p.client.Close()
	if said := p.problem.String(); said != "" {
		return fmt.Errorf("the server says: %s", said)
	}
	return err
}

func (p *pipe) UploadPack(ctx context.Context, r *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	err := r.UploadRequest.Encode(p.in)
	if err == nil {
		err = r.UploadHaves.Encode(p.in, false)
	}
	if err == nil {
		err = pktline.NewEncoder(p.in).EncodeString("done\n")
	}
	if err == nil {
		err = p.in.Close()
	}
	response := packp.NewUploadPackResponse(r)
	if err == nil {
		err = response.Decode(io.NopCloser(p.out))
	}
	switch {
	case err == nil:
		return response, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, p.explain(err)
}
