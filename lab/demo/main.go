// Command demo tells the product's story on this machine: a git push becomes an EKS cluster, and what happens to it then.
//
// With --check it runs unattended, asserts each step, tears everything down, and exits 0 or 1. Without, it narrates on the
// terminal and stays up before the teardown, with the addresses and what to try.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/eks-gitops/reconciler/lab/story"
)

func main() {
	check := flag.Bool("check", false, "run unattended, assert every step, tear down")
	speed := flag.Int("speed", 40, "how many times faster than life AWS is")
	dir := flag.String("dir", "../.demo", "folder for all state")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := tell(ctx, *dir, *speed, *check)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

// tell runs the steps in order; whatever happens, nothing that was started is left running.
func tell(ctx context.Context, dir string, speed int, check bool) (err error) {
	began := time.Now()
	dir, root, err := places(dir)
	if err != nil {
		return err
	}
	n := &narrator{out: os.Stdout, began: began}
	n.title(0, "A whole EKS on this machine")
	programs := story.Programs{Bin: filepath.Join(root, ".cache", "bin"), Env: os.Environ(), Dir: dir}
	s, err := story.New(ctx, programs, dir, root, speed)
	if err != nil {
		return err
	}
	defer func() {
		down := s.End(context.WithoutCancel(ctx))
		if err == nil {
			err = errors.Join(down, os.RemoveAll(dir))
		}
	}()
	s.Say, s.Show = n.say, n.show
	n.say("lab is up: AWS at %s, %d times faster than life", s.Lab.Var("AWS_ENDPOINT_URL"), speed)
	steps := story.Steps()
	for i, step := range steps {
		if i == len(steps)-1 && !check {
			if err := n.stay(ctx, s); err != nil {
				return err
			}
		}
		n.title(i+1, step.Title)
		follow := n.follow(s.R.Log())
		err := step.Do(ctx, s)
		follow()
		if err != nil {
			return fmt.Errorf("step %d, %s: %w\nthe daemon's log is %s", i+1, step.Title, err, s.R.Log())
		}
	}
	n.say("done in %s", time.Since(began).Round(time.Second))
	return nil
}

// places are the absolute folders of the demo's state, made empty, and of the checkout.
func places(dir string) (state, root string, err error) {
	if state, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	if root, err = filepath.Abs(".."); err != nil {
		return "", "", err
	}
	if err := story.Forget(state); err != nil {
		return "", "", err
	}
	return state, root, os.MkdirAll(state, 0o755)
}
