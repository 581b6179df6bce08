package render

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// view shows a snapshot to kustomize as a read-only file system rooted at "/", with a few virtual files on top, and remembers
// everything that was asked: the render is the same as long as every answer is. It is used by one goroutine.
type view struct {
	files   fs.FS
	virtual map[string][]byte
	// secrets opens encrypted files; nil gives them as they are.
	secrets *decrypter
	// asked maps questions ("read clusters/dev/x.yaml") to short forms of the answers.
	asked map[string]string
}

func newView(files fs.FS) *view {
	return &view{files: files, virtual: map[string][]byte{}, asked: map[string]string{}}
}

// hasher is what a snapshot may offer so that unchanged files need not be read to be recognized.
type hasher interface {
	Hash(name string) (string, error)
}

// The questions.
const (
	askRead = "read "
	askReal = "real "
	askKind = "kind "
	askList = "list "
)

// answer asks the snapshot anew.
func answer(files fs.FS, question string) string {
	switch verb, name := question[:len(askRead)], question[len(askRead):]; verb {
	case askRead:
		if h, ok := files.(hasher); ok {
			if sum, err := h.Hash(name); err == nil && sum != "" {
				return sum
			}
		}
		body, err := fs.ReadFile(files, name)
		return sumOf(body, err)
	case askReal:
		real, err := realPath(files, name)
		if err != nil {
			return "!" + err.Error()
		}
		return real
	case askKind:
		info, err := fs.Stat(files, name)
		if err != nil {
			return "!" + err.Error()
		}
		return info.Mode().Type().String()
	default:
		entries, err := fs.ReadDir(files, name)
		if err != nil {
			return "!" + err.Error()
		}
		return fmt.Sprint(entries)
	}
}

func sumOf(body []byte, err error) string {
	if err != nil {
		return "!" + err.Error()
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// same reports whether a snapshot still answers everything as before.
func same(files fs.FS, asked map[string]string) bool {
	for question, before := range asked {
		if answer(files, question) != before {
			return false
		}
	}
	return true
}

func (v *view) ask(verb, name string) string {
	question := verb + name
	if known, ok := v.asked[question]; ok {
		return known
	}
	now := answer(v.files, question)
	v.asked[question] = now
	return now
}

// stat and real look without reading, and remember what they saw.
func (v *view) stat(name string) (fs.FileInfo, error) {
	v.ask(askKind, name)
	return fs.Stat(v.files, name)
}

func (v *view) real(name string) (string, error) {
	v.ask(askReal, name)
	return realPath(v.files, name)
}

// name makes a path of kustomize one of the snapshot.
func name(p string) string {
	clean := path.Clean("/" + filepath.ToSlash(p))
	if clean == "/" {
		return "."
	}
	return clean[1:]
}

// ReadFile implements filesys.FileSystem.
func (v *view) ReadFile(p string) ([]byte, error) {
	if body, ok := v.virtual[name(p)]; ok {
		return body, nil
	}
	v.ask(askRead, name(p))
	body, err := fs.ReadFile(v.files, name(p))
	if err != nil {
		return nil, err
	}
	return v.secrets.open(name(p), body)
}

// text reads a file with every line where the repository has it, for whoever tells lines: kustomize may get an encrypted file in
// another form.
func (v *view) text(file string) ([]byte, error) {
	v.ask(askRead, file)
	body, err := fs.ReadFile(v.files, file)
	if err != nil {
		return nil, err
	}
	return v.secrets.text(file, body)
}

// folderOfVirtual reports whether virtual files are in a folder that is only there for them.
func (v *view) folderOfVirtual(at string) bool {
	for file := range v.virtual {
		if path.Dir(file) == at {
			return strings.HasPrefix(v.ask(askKind, at), "!")
		}
	}
	return false
}

// IsDir implements filesys.FileSystem.
func (v *view) IsDir(p string) bool {
	if v.folderOfVirtual(name(p)) {
		return true
	}
	return v.ask(askKind, name(p)) == fs.ModeDir.String()
}

// Exists implements filesys.FileSystem.
func (v *view) Exists(p string) bool {
	if _, ok := v.virtual[name(p)]; ok || v.folderOfVirtual(name(p)) {
		return true
	}
	return !strings.HasPrefix(v.ask(askKind, name(p)), "!")
}

// CleanedAbs implements filesys.FileSystem: symlinks are resolved, so that what kustomize restricts is where files are.
func (v *view) CleanedAbs(p string) (filesys.ConfirmedDir, string, error) {
	at := name(p)
	if _, ok := v.virtual[at]; ok {
		dir, _, err := v.CleanedAbs(path.Dir(at))
		return dir, path.Base(at), err
	}
	if v.folderOfVirtual(at) {
		dir, _, err := v.CleanedAbs(path.Dir(at))
		return filesys.ConfirmedDir(path.Join(dir.String(), path.Base(at))), "", err
	}
	v.ask(askReal, at)
	v.ask(askKind, at)
	real, err := realPath(v.files, at)
	if err != nil {
		return "", "", err
	}
	info, err := fs.Stat(v.files, real)
	if err != nil {
		return "", "", err
	}
	if info.IsDir() {
		return filesys.ConfirmedDir(path.Join("/", real)), "", nil
	}
	return filesys.ConfirmedDir(path.Join("/", path.Dir(real))), path.Base(real), nil
}

// ReadDir implements filesys.FileSystem.
func (v *view) ReadDir(p string) ([]string, error) {
	v.ask(askList, name(p))
	entries, err := fs.ReadDir(v.files, name(p))
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, nil
}

// Walk implements filesys.FileSystem.
func (v *view) Walk(p string, do filepath.WalkFunc) error {
	return fs.WalkDir(v.files, name(p), func(at string, d fs.DirEntry, err error) error {
		var info fs.FileInfo
		if d != nil {
			if d.IsDir() {
				v.ask(askList, at)
			}
			if got, infoErr := d.Info(); err == nil {
				info, err = got, infoErr
			}
		}
		return do("/"+at, info, err)
	})
}

// errReadOnly is the answer to everything that writes.
var errReadOnly = errors.New("the repository is read-only")

// Glob implements filesys.FileSystem. Nothing that is allowed here globs.
func (v *view) Glob(string) ([]string, error) { return nil, errReadOnly }

// Open implements filesys.FileSystem. Kustomize reads with ReadFile.
func (v *view) Open(string) (filesys.File, error) { return nil, errReadOnly }

// Create implements filesys.FileSystem.
func (v *view) Create(string) (filesys.File, error) { return nil, errReadOnly }

// Mkdir implements filesys.FileSystem.
func (v *view) Mkdir(string) error { return errReadOnly }

// MkdirAll implements filesys.FileSystem.
func (v *view) MkdirAll(string) error { return errReadOnly }

// RemoveAll implements filesys.FileSystem.
func (v *view) RemoveAll(string) error { return errReadOnly }

// WriteFile implements filesys.FileSystem.
func (v *view) WriteFile(string, []byte) error { return errReadOnly }

// realPath resolves every symlink on a path. That targets stay inside the snapshot is the snapshot's business: it refuses to
// be read through others.
func realPath(files fs.FS, at string) (string, error) {
	todo := strings.Split(at, "/")
	done := "."
	for links := 0; len(todo) > 0; {
		step := todo[0]
		todo = todo[1:]
		switch step {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, step)
		info, err := fs.Lstat(files, next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > 40 {
			return "", &fs.PathError{Op: "readlink", Path: next, Err: errors.New("the symlink leads in a circle")}
		}
		// Reading through it tells whether it is a good one.
		if _, err := fs.Stat(files, next); err != nil {
			return "", err
		}
		target, err := fs.ReadLink(files, next)
		if err != nil {
			return "", err
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, nil
}

var _ filesys.FileSystem = (*view)(nil)

// notThere reports whether an error means absence, as opposed to something that is there and cannot be read.
func notThere(err error) bool { return errors.Is(err, os.ErrNotExist) }
