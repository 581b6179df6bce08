package git

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Shell serves the repositories of a folder over ssh.
type Shell struct {
	// Address is HOST:PORT.
	Address string

	folder   string
	listener net.Listener
	host     ssh.Signer
	ctx      context.Context //nolint:containedctx // it is the server's own lifetime
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex
	keys     [][]byte
	sessions int
	hang     bool
}

// ServeShell serves until Close. Nobody may log in before Admit.
func ServeShell(ctx context.Context, folder string) (*Shell, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, host, err := NewKey("")
	if err != nil {
		return nil, err
	}
	s := &Shell{Address: listener.Addr().String(), folder: folder, listener: listener, host: host}
	s.ctx, s.stop = context.WithCancel(ctx)
	s.running.Go(s.accept)
	return s, nil
}

// NewKey makes a key pair: the private one as ssh-keygen writes it, under a passphrase if there is one.
func NewKey(passphrase string) (private []byte, signer ssh.Signer, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		return nil, nil, err
	}
	signer, err = ssh.NewSignerFromKey(key)
	return pem.EncodeToMemory(block), signer, err
}

// Close ends all sessions and waits for them.
func (s *Shell) Close() {
	s.stop()
	_ = s.listener.Close()
	s.running.Wait()
}

// Admit makes these keys the ones that may log in.
func (s *Shell) Admit(keys ...ssh.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = nil
	for _, k := range keys {
		s.keys = append(s.keys, k.Marshal())
	}
}

// Hang makes the server accept connections and say nothing.
func (s *Shell) Hang(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = on
}

// Sessions tells how often git-upload-pack was started since the last call.
func (s *Shell) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.sessions
	s.sessions = 0
	return n
}

// KnownHosts is a line for a known_hosts file.
func (s *Shell) KnownHosts() string {
	host, port, _ := net.SplitHostPort(s.Address)
	return fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(s.host.PublicKey()))
}

func (s *Shell) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() {
			defer conn.Close() //nolint:errcheck // the session is over
			stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
			defer stop()
			s.mu.Lock()
			hang := s.hang
			s.mu.Unlock()
			if hang {
				_, _ = io.Copy(io.Discard, conn)
				return
			}
			s.serve(conn)
		})
	}
}

func (s *Shell) serve(conn net.Conn) {
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, k := range s.keys {
			if bytes.Equal(k, key.Marshal()) {
				return &ssh.Permissions{}, nil
			}
		}
		return nil, errors.New("this key may not log in")
	}}
	config.AddHostKey(s.host)
	secure, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer secure.Close() //nolint:errcheck // the session is over
	s.running.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, asked, err := c.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() { s.session(channel, asked) })
	}
}

func (s *Shell) session(channel ssh.Channel, asked <-chan *ssh.Request) {
	defer channel.Close() //nolint:errcheck // the session is over
	for r := range asked {
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		var command struct{ Text string }
		if err := ssh.Unmarshal(r.Payload, &command); err != nil {
			return
		}
		_ = r.Reply(true, nil)
		code := s.run(channel, command.Text)
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
		return
	}
}

// run starts git-upload-pack, and nothing else.
func (s *Shell) run(channel ssh.Channel, command string) uint32 {
	program, path, _ := strings.Cut(command, " ")
	if program != "git-upload-pack" {
		_, _ = fmt.Fprintf(channel.Stderr(), "%s is not allowed\n", program)
		return 128
	}
	s.mu.Lock()
	s.sessions++
	s.mu.Unlock()
	path = filepath.Join(s.folder, filepath.FromSlash(strings.Trim(path, "'")))
	cmd := exec.CommandContext(s.ctx, "git", "upload-pack", path)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), channel, channel.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil {
		return 128
	}
	// The program is done when it says so, not when the client has closed its end: this ends with the channel.
	s.running.Go(func() {
		_, _ = io.Copy(in, channel)
		_ = in.Close()
	})
	if err := cmd.Run(); err != nil {
		return 128
	}
	return 0
}
