package git

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Repository is a bare repository.
type Repository struct {
	Path string
	mu   sync.Mutex
	made int
}

// Init makes an empty bare repository at a path; main is its branch.
func Init(ctx context.Context, path string) (*Repository, error) {
	r := &Repository{Path: path}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "git", "init", "--quiet", "--bare", "--initial-branch=main", path)
	cmd.Env = environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making a repository: %w: %s", err, out)
	}
	_, err := r.Git(ctx, "config", "http.receivepack", "true")
	return r, err
}

// environment keeps the configuration of the machine out.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C"}
}

// Git runs git in the repository and returns what it printed, trimmed.
func (r *Repository) Git(ctx context.Context, args ...string) (string, error) {
	return r.git(ctx, nil, args...)
}

func (r *Repository) git(ctx context.Context, in []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = r.Path, environment(), bytes.NewReader(in)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("running git %s: %w: %s", strings.Join(args, " "), err, problem.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// Commit is what one commit does.
type Commit struct {
	// Branch is "main" when empty.
	Branch  string
	Message string
	// Author is a name; a default stands in.
	Author string
	// Write holds files by path; Link holds symlinks, Submodule commits of other repositories.
	Write, Link, Submodule map[string]string
	Delete                 []string
	// Orphan makes a commit without a parent: the branch's history is rewritten.
	Orphan bool
}

// Commit adds a commit and returns its id. Commit times count up by a minute from a fixed day, so ids are the same in every run.
func (r *Repository) Commit(ctx context.Context, c Commit) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Branch == "" {
		c.Branch = "main"
	}
	if c.Author == "" {
		c.Author = "Ada Example"
	}
	if c.Message == "" {
		c.Message = "Change things"
	}
	r.made++
	var b bytes.Buffer
	ref := "refs/heads/" + c.Branch
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(r.made) * time.Minute)
	fmt.Fprintf(&b, "commit %s\nauthor %s <ada@example.com> %d +0000\ncommitter %[2]s <ada@example.com> %[3]d +0000\ndata %[4]d\n%[5]s\n", ref, c.Author, at.Unix(), len(c.Message), c.Message)
	if parent, err := r.Git(ctx, "rev-parse", "--verify", "--quiet", ref); err == nil && !c.Orphan {
		fmt.Fprintf(&b, "from %s\n", parent)
	} else if c.Orphan {
		fmt.Fprint(&b, "deleteall\n")
	}
	for _, path := range c.Delete {
		fmt.Fprintf(&b, "D %s\n", path)
	}
	for mode, files := range map[string]map[string]string{"100644": c.Write, "120000": c.Link} {
		for _, path := range slices.Sorted(maps.Keys(files)) {
			fmt.Fprintf(&b, "M %s inline %s\ndata %d\n%s\n", mode, path, len(files[path]), files[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(c.Submodule)) {
		fmt.Fprintf(&b, "M 160000 %s %s\n", c.Submodule[path], path)
	}
	if _, err := r.git(ctx, b.Bytes(), "fast-import", "--quiet", "--force"); err != nil {
		return "", err
	}
	return r.Git(ctx, "rev-parse", ref)
}
