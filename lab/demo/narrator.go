package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/lab/story"
)

// narrator speaks: titles, what people do, what tools print, and what the daemon says meanwhile.
type narrator struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
	// read is how far the daemon's log was shown.
	read int64
}

func (n *narrator) line(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.out, format+"\n", args...)
}

func (n *narrator) title(step int, text string) {
	n.line("\n── %d  %s %s %s", step, text, strings.Repeat("─", max(2, 60-len(text))), time.Since(n.began).Round(time.Second))
}

func (n *narrator) say(format string, args ...any) { n.line("  ● "+format, args...) }

func (n *narrator) show(text string) {
	for line := range strings.Lines(text) {
		n.line("    │ %s", strings.TrimRight(line, "\n"))
	}
}

// follow shows the daemon's log as it grows, until the returned function is called.
func (n *narrator) follow(path string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			n.tail(path)
			select {
			case <-ctx.Done():
				n.tail(path)
				return
			case <-ticker.C:
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// tail shows what is new in the log; a half line waits for its end.
func (n *narrator) tail(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // only read
	if _, err := f.Seek(n.read, io.SeekStart); err != nil {
		return
	}
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		n.read += int64(len(line))
		n.line("      %s", strings.TrimRight(line, "\n"))
	}
}

// stay leaves the lab up for people to play with, until Enter or Ctrl-C.
func (n *narrator) stay(ctx context.Context, s *story.Story) error {
	n.title(0, "It is all yours")
	n.line(`
  AWS            %s
  repository     %s   (work tree: %s)
  daemon's log   %s

  In another terminal:
    eval "$(.cache/bin/lab env --dir %s)"
    kubectl --context dev-admin get pods -A
    eksctl get nodegroup --cluster dev
    .cache/bin/reconciler status -C %s --rev main --ledger file:%s/ledger
    cd %s && edit, git commit, git push, and watch
    kubectl --context dev-admin -n guestbook delete deployment frontend    (it comes back)

  Enter tears it all down; Ctrl-C too.
`, s.Lab.Var("AWS_ENDPOINT_URL"), s.Fleet.URL(), s.Fleet.Work, s.R.Log(), s.Lab.State, s.Fleet.URL(), s.R.State, s.Fleet.Work)
	defer n.follow(s.R.Log())()
	entered := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		entered <- err
	}()
	select {
	case err := <-entered:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}
