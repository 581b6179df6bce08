package story

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Fleet is a git repository with the sample fleet: a bare one that the reconciler follows, and a work tree that people edit.
type Fleet struct {
	Programs
	Work, Bare string
}

// NewFleet makes the repositories below dir from the sample fleet at from (the product's own checkout). Nothing is
// pushed yet.
func NewFleet(ctx context.Context, p Programs, dir, from string) (*Fleet, error) {
	f := &Fleet{Programs: p, Work: filepath.Join(dir, "fleet"), Bare: filepath.Join(dir, "fleet.git")}
	if err := os.MkdirAll(f.Work, 0o755); err != nil {
		return nil, err
	}
	for _, part := range []string{"clusters", "addons", "apps"} {
		if err := os.CopyFS(filepath.Join(f.Work, part), os.DirFS(filepath.Join(from, part))); err != nil {
			return nil, fmt.Errorf("copying the sample fleet: %w", err)
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", f.Bare},
		{"init", "--quiet", "--initial-branch=main", f.Work},
		{"-C", f.Work, "config", "user.name", "ana"},
		{"-C", f.Work, "config", "user.email", "ana@example.com"},
		{"-C", f.Work, "remote", "add", "origin", f.Bare},
	} {
		if _, err := p.Must(ctx, "git", args...); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// URL is what the reconciler follows.
func (f *Fleet) URL() string { return "file://" + f.Bare }

// Push commits everything and pushes it; it returns the commit.
func (f *Fleet) Push(ctx context.Context, message string) (string, error) {
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "-m", message}, {"push", "--quiet", "origin", "main"}} {
		if _, err := f.git(ctx, args...); err != nil {
			return "", err
		}
	}
	return f.Head(ctx)
}

// Revert reverts a commit and pushes that.
func (f *Fleet) Revert(ctx context.Context, commit string) (string, error) {
	for _, args := range [][]string{{"revert", "--no-edit", commit}, {"push", "--quiet", "origin", "main"}} {
		if _, err := f.git(ctx, args...); err != nil {
			return "", err
		}
	}
	return f.Head(ctx)
}

// Head is the commit of the work tree.
func (f *Fleet) Head(ctx context.Context) (string, error) {
	text, err := f.git(ctx, "rev-parse", "HEAD")
	return strings.TrimSpace(text), err
}

// Edit replaces text in a file; text that is not there is an error, so that a story never silently edits nothing.
func (f *Fleet) Edit(path, before, after string) error {
	name := filepath.Join(f.Work, path)
	body, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if strings.Count(string(body), before) != 1 {
		return fmt.Errorf("editing %s: %q is there %d times, want once", path, before, strings.Count(string(body), before))
	}
	return os.WriteFile(name, []byte(strings.Replace(string(body), before, after, 1)), 0o644)
}

// Write writes a file.
func (f *Fleet) Write(path, text string) error {
	return os.WriteFile(filepath.Join(f.Work, path), []byte(text), 0o644)
}

// Remove removes a file or folder.
func (f *Fleet) Remove(path string) error { return os.RemoveAll(filepath.Join(f.Work, path)) }

func (f *Fleet) git(ctx context.Context, args ...string) (string, error) {
	return f.Must(ctx, "git", append([]string{"-C", f.Work}, args...)...)
}
