package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if len(os.Args) > 1 && os.Args[1] == "work" {
		err = work(ctx, os.Args[2:])
	} else {
		err = compare(ctx, os.Args[1:])
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	out  string
	runs int
	only *regexp.Regexp
	// size scales the sets, in percent: a small one proves that everything works.
	size int
	// drifts and commits are how many of each the daemon meets.
	drifts, commits int
	// idle is how many intervals the daemon is watched doing nothing.
	idle int
}

func readOptions(args []string) (options, error) {
	o, only := options{}, ""
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.out, "out", "", "also write the figures to this file, as JSON")
	flags.IntVar(&o.runs, "runs", 5, "how many turns each contender has at most; the median counts (larger sets take fewer)")
	flags.StringVar(&only, "only", ".*", "run only the parts whose name matches this regular expression: objects 1000, objects 5000, objects 10000, new namespace 1000, kube-prometheus, render, daemon")
	flags.IntVar(&o.size, "size", 100, "scale the sets to so many percent")
	flags.IntVar(&o.drifts, "drifts", 200, "how many objects are changed behind the daemon's back")
	flags.IntVar(&o.commits, "commits", 20, "how many commits are pushed to the daemon")
	flags.IntVar(&o.idle, "idle", 1, "how many intervals of 3 m the daemon is watched doing nothing")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile("^(" + only + ")$"); err != nil {
		return o, fmt.Errorf("reading --only: %w", err)
	}
	return o, nil
}

// compare runs the parts and prints what they came to.
func compare(ctx context.Context, args []string) error {
	o, err := readOptions(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var figures []figure
	var failed error
	for _, part := range parts() {
		if !o.only.MatchString(part.name) || ctx.Err() != nil {
			continue
		}
		before := load()
		fmt.Fprintf(os.Stderr, "bench: %s (load %s)\n", part.name, before)
		// Trouble with one part costs no other its figures, nor what it measured before.
		found, err := part.run(ctx, o, dir)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", part.name, err))
		}
		for i := range found {
			found[i].Load = before
		}
		figures = append(figures, found...)
		show(os.Stdout, found)
	}
	if o.out == "" {
		return failed
	}
	body, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(failed, os.WriteFile(o.out, append(body, '\n'), 0o600))
}
