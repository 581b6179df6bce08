package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// FileBlobs keeps blobs as files below a folder: KEY is DIR/KEY.gz. A blob is written beside its place, synced and renamed,
// so that readers and crashes see the old or the new one, never a part.
type FileBlobs struct{ dir string }

// Files is a store in a folder, which is made when first written to.
func Files(dir string) *FileBlobs { return &FileBlobs{dir: dir} }

const suffix = ".gz"

func (f *FileBlobs) path(key string) (string, error) {
	if !filepath.IsLocal(key) || strings.HasSuffix(key, "/") {
		return "", fmt.Errorf("key %q leaves the ledger's folder", key)
	}
	return filepath.Join(f.dir, filepath.FromSlash(key)+suffix), nil
}

// Get reads a blob.
func (f *FileBlobs) Get(_ context.Context, key string) ([]byte, error) {
	path, err := f.path(key)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// Put writes or, with nil, deletes a blob.
func (f *FileBlobs) Put(_ context.Context, key string, blob []byte) error {
	path, err := f.path(key)
	if err != nil {
		return err
	}
	if blob == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncDir(filepath.Dir(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // not there any more once renamed
	if err := writeSynced(temp, blob); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(file *os.File, blob []byte) error {
	_, err := file.Write(blob)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes a rename or removal in a folder survive a crash.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// List lists the keys with a prefix.
func (f *FileBlobs) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	start := f.dir
	if folder, _, ok := cutLast(prefix); ok && filepath.IsLocal(folder) {
		start = filepath.Join(f.dir, filepath.FromSlash(folder))
	}
	err := filepath.WalkDir(start, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // the folder, or a blob that was just deleted
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() || !strings.HasSuffix(path, suffix):
			return nil
		}
		rel, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		if key := strings.TrimSuffix(filepath.ToSlash(rel), suffix); strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return nil
	})
	slices.Sort(keys)
	return keys, err
}

func cutLast(key string) (folder, name string, ok bool) {
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return "", key, false
	}
	return key[:i], key[i+1:], true
}

// lockPause is how long to wait between two tries for a lock that another process holds; holders keep it for milliseconds.
const lockPause = 5 * time.Millisecond

// Lock takes an advisory lock (flock), which the system releases when its holder dies.
func (f *FileBlobs) Lock(ctx context.Context, key string) (func(), error) {
	path, err := f.path(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(strings.TrimSuffix(path, suffix)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", file.Name(), err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(lockPause):
		}
	}
}
