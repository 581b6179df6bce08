package source

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"
)

// cache keeps the objects of the last commit as one git packfile, so that a restart fetches what changed since and no more.
// It is only ever a saving: a missing or damaged file costs a full fetch, and every object is named by its own hash.
type cache struct{ folder, repository string }

func (c cache) prefix() string {
	sum := sha256.Sum256([]byte(c.repository))
	return hex.EncodeToString(sum[:8]) + "-"
}

const packSuffix = ".pack"

func (c cache) load(log *slog.Logger) *frozen {
	if c.folder == "" {
		return nil
	}
	for _, name := range c.files() {
		commit := strings.TrimSuffix(strings.TrimPrefix(name, c.prefix()), packSuffix)
		f, err := readPack(filepath.Join(c.folder, name), plumbing.NewHash(commit))
		if err == nil {
			return f
		}
		log.Warn("ignoring a damaged cache file", "file", name, "error", err)
	}
	return nil
}

func readPack(path string, commit plumbing.Hash) (*frozen, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	store := memory.NewStorage()
	if err := packfile.UpdateObjectStorage(store, file); err != nil {
		return nil, err
	}
	return freeze(store, commit)
}

// save replaces what is kept for the repository.
func (c cache) save(f *frozen, log *slog.Logger) {
	if c.folder == "" {
		return
	}
	old := c.files()
	name := c.prefix() + f.commit.String() + packSuffix
	if err := c.write(name, f.store); err != nil {
		log.Warn("keeping the fetched objects", "folder", c.folder, "error", err)
		return
	}
	for _, stale := range old {
		if stale != name {
			_ = os.Remove(filepath.Join(c.folder, stale))
		}
	}
}

func (c cache) write(name string, store *memory.Storage) error {
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(c.folder, "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // gone after the rename
	hashes := make([]plumbing.Hash, 0, len(store.Objects))
	for h := range store.Objects {
		hashes = append(hashes, h)
	}
	plumbing.HashesSort(hashes)
	_, err = packfile.NewEncoder(file, store, false).Encode(hashes, 0)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(c.folder, name))
}

func (c cache) files() []string {
	entries, err := os.ReadDir(c.folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), c.prefix()) && strings.HasSuffix(e.Name(), packSuffix) {
			out = append(out, e.Name())
		}
	}
	return out
}
