package source

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// checkout is what git knows about a folder: what a push would send, and what it would not. All methods work on nil, for a
// folder that git knows nothing about.
type checkout struct {
	// prefix is the folder's path in the worktree, "" for the whole.
	prefix string
	// tracked holds the files of the index, and the folders above them; true is for submodules.
	tracked map[string]bool
	exclude []gitignore.Pattern
	head    *head
}

// head is the commit that is checked out.
type head struct {
	hash, subject, author string
	at                    time.Time
	// files maps paths below the folder to what the commit has there.
	files map[string]file
}

// openCheckout reads what git knows about a folder; nil when it is in no worktree, or in one that cannot be read. before saves
// reading the same commit again.
func openCheckout(path string, before *checkout) *checkout {
	repository, err := gogit.PlainOpenWithOptions(path, &gogit.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if err != nil {
		return nil
	}
	worktree, err := repository.Worktree()
	if err != nil {
		return nil
	}
	root := worktree.Filesystem.Root()
	prefix, err := filepath.Rel(evaluated(root), evaluated(path))
	if err != nil || strings.HasPrefix(prefix, "..") {
		return nil
	}
	if prefix = filepath.ToSlash(prefix); prefix == "." {
		prefix = ""
	}
	c := &checkout{prefix: prefix, tracked: map[string]bool{}}
	if index, err := repository.Storer.Index(); err == nil {
		for _, e := range index.Entries {
			c.track(e.Name, e.Mode == filemode.Submodule)
		}
	}
	if _, common := gitFolders(root); common != "" {
		c.exclude = readPatterns(filepath.Join(common, "info", "exclude"), nil)
	}
	if prefix != "" {
		c.inherit(root)
	}
	c.head = openHead(repository, prefix, before)
	return c
}

// inherit reads the .gitignore files above the folder.
func (c *checkout) inherit(root string) {
	at, domain := root, []string(nil)
	for _, step := range strings.Split(c.prefix, "/") {
		c.exclude = append(c.exclude, readPatterns(filepath.Join(at, ".gitignore"), domain)...)
		at, domain = filepath.Join(at, step), append(domain, step)
	}
}

func evaluated(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

func (c *checkout) track(name string, submodule bool) {
	rest, ok := c.cut(name)
	if !ok {
		return
	}
	c.tracked[rest] = submodule
	for i := strings.LastIndexByte(rest, '/'); i > 0; i = strings.LastIndexByte(rest[:i], '/') {
		c.tracked[rest[:i]] = false
	}
}

// cut makes a path of the worktree one below the folder.
func (c *checkout) cut(name string) (string, bool) {
	if c.prefix == "" {
		return name, true
	}
	return strings.CutPrefix(name, c.prefix+"/")
}

func (c *checkout) submodule(path string) bool { return c != nil && c.tracked[path] }

// patterns reads the .gitignore of a folder.
func (c *checkout) patterns(full, path string) []gitignore.Pattern {
	out := readPatterns(filepath.Join(full, ".gitignore"), c.split(path))
	if path == "" {
		return append(append([]gitignore.Pattern(nil), c.exclude...), out...)
	}
	return out
}

func (c *checkout) split(path string) []string {
	full := strings.Trim(c.prefix+"/"+path, "/")
	if full == "" {
		return nil
	}
	return strings.Split(full, "/")
}

func readPatterns(file string, domain []string) []gitignore.Pattern {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // read only
	var out []gitignore.Pattern
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			out = append(out, gitignore.ParsePattern(line, domain))
		}
	}
	return out
}

// ignores reports whether a push would leave a path out.
func (c *checkout) ignores(patterns []gitignore.Pattern, path string, isFolder bool) bool {
	if c == nil {
		return false
	}
	if _, tracked := c.tracked[path]; tracked {
		return false
	}
	return gitignore.NewMatcher(patterns).Match(c.split(path), isFolder)
}

// equals reports whether the files are exactly those of the commit. Executable bits do not count: nothing here is run.
func (c *checkout) equals(files []file) bool {
	if len(files) != len(c.head.files) {
		return false
	}
	for _, f := range files {
		if c.head.files[f.path] != f {
			return false
		}
	}
	return true
}

func openHead(repository *gogit.Repository, prefix string, before *checkout) *head {
	reference, err := repository.Head()
	if err != nil {
		return nil
	}
	if before != nil && before.head != nil && before.prefix == prefix && before.head.hash == reference.Hash().String() {
		return before.head
	}
	commit, err := repository.CommitObject(reference.Hash())
	if err != nil {
		return nil
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
	h := &head{
		hash: commit.Hash.String(), at: commit.Committer.When.UTC(), files: map[string]file{},
		subject: strings.ToValidUTF8(strings.TrimSpace(subject), "�"), author: strings.ToValidUTF8(commit.Author.Name, "�"),
	}
	top, err := commit.Tree()
	if err == nil && prefix != "" {
		top, err = top.Tree(prefix)
	}
	if err != nil {
		return h
	}
	walk := object.NewTreeWalker(top, true, nil)
	defer walk.Close()
	for {
		name, entry, err := walk.Next()
		if err != nil {
			return h
		}
		if entry.Mode.IsFile() {
			h.files[name] = file{path: name, hash: entry.Hash.String(), kind: kindOf(entry.Mode)}
		}
	}
}

func kindOf(mode filemode.FileMode) os.FileMode {
	if mode == filemode.Symlink {
		return os.ModeSymlink
	}
	return 0
}
