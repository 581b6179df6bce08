package story

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Programs are where the binaries are and what they are run with.
type Programs struct {
	// Bin is the folder of lab, reconciler and eksctl.
	Bin string
	// Env is the whole environment of every program.
	Env []string
	// Dir is the working directory.
	Dir string
}

// Output is what a program said and how it ended.
type Output struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a program to its end. The error says only that it could not be run; its exit code is in the Output.
func (p Programs) Run(ctx context.Context, name string, args ...string) (Output, error) {
	var stdout, stderr bytes.Buffer
	cmd := p.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	out := Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return out, fmt.Errorf("running %s: %w", name, err)
	}
	return out, nil
}

// Must runs a program that has to succeed, and returns its standard output.
func (p Programs) Must(ctx context.Context, name string, args ...string) (string, error) {
	out, err := p.Run(ctx, name, args...)
	if err != nil {
		return "", err
	}
	if out.Code != 0 {
		return out.Stdout, fmt.Errorf("running %s %s: exit %d: %s", name, strings.Join(args, " "), out.Code, strings.TrimSpace(out.Stderr))
	}
	return out.Stdout, nil
}

// JSON runs a program that prints JSON, and decodes it.
func (p Programs) JSON(ctx context.Context, into any, name string, args ...string) error {
	text, err := p.Must(ctx, name, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("reading what %s %s printed: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

func (p Programs) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path := filepath.Join(p.Bin, name)
	if _, err := os.Stat(path); err != nil {
		path = name
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = p.Env, p.Dir
	return cmd
}

// Lab is a running lab.
type Lab struct {
	Programs
	State string
}

// StartLab brings a lab up in dir and returns it with an environment in which every tool reaches it.
func StartLab(ctx context.Context, p Programs, dir string, speed int) (*Lab, error) {
	if _, err := p.Must(ctx, "lab", "up", "--dir", dir, "--speed", fmt.Sprint(speed), "--region", "eu-west-1", "--detach"); err != nil {
		return nil, err
	}
	l := &Lab{Programs: p, State: dir}
	var env map[string]string
	if err := p.JSON(ctx, &env, "lab", "env", "--dir", dir, "-o", "json"); err != nil {
		return nil, errors.Join(err, l.Down(context.WithoutCancel(ctx)))
	}
	for k, v := range env {
		l.Env = append(l.Env, k+"="+v)
	}
	return l, nil
}

// Down ends the lab and every process it started.
func (l *Lab) Down(ctx context.Context) error {
	_, err := l.Must(ctx, "lab", "down", "--dir", l.State)
	return err
}

// Var is a variable of the lab's environment.
func (l *Lab) Var(name string) string {
	value := ""
	for _, kv := range l.Env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}
