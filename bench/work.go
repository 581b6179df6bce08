package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// task is what a process of its own does and is timed at.
type task struct {
	// Act is one of acts, or of renders.
	Act        string `json:"act"`
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Objects is the file of objects, or the folder of a kustomization.
	Objects string `json:"objects"`
	// Want is how many changes there have to be; unknown is any number.
	Want int `json:"want"`
}

// result is what a task came to.
type result struct {
	Seconds float64 `json:"seconds"`
	// Megabytes is the peak of resident memory, in 10^6 bytes.
	Megabytes float64 `json:"megabytes"`
}

// start has a task done by a new process.
func start(ctx context.Context, t task) (result, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return result{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	c := exec.CommandContext(ctx, self, "work", string(body))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", t.Act, err)
	}
	var r result
	return r, json.Unmarshal(out, &r)
}

// work is the new process: it reads its input, does its task, and says how long the task took.
func work(ctx context.Context, args []string) error {
	var t task
	if err := json.Unmarshal([]byte(args[0]), &t); err != nil {
		return err
	}
	do, err := t.prepare(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	took := time.Since(began)
	// Not getrusage: its peak starts with that of the process that forked this one.
	used, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result{Seconds: took.Seconds(), Megabytes: used.peak})
}

// prepare does what is not timed.
func (t task) prepare(ctx context.Context) (func() error, error) {
	if renderer, ok := renderers()[t.Act]; ok {
		return renderer(ctx, t.Objects)
	}
	act, ok := acts()[t.Act]
	if !ok {
		return nil, fmt.Errorf("nobody does %q", t.Act)
	}
	a, err := reach(t.Kubeconfig)
	if err != nil {
		return nil, err
	}
	objects, err := read(t.Objects)
	if err != nil {
		return nil, err
	}
	return func() error {
		found, err := act(ctx, a, set{file: t.Objects, objects: objects})
		if err == nil && t.Want != unknown && found != unknown && found != t.Want {
			err = fmt.Errorf("%d changes in %s, want %d", found, filepath.Base(t.Objects), t.Want)
		}
		return err
	}, nil
}
