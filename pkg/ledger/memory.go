package ledger

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// MemoryBlobs keeps blobs in memory: for one-shot commands and tests.
type MemoryBlobs struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

// Memory is an empty store in memory.
func Memory() *MemoryBlobs { return &MemoryBlobs{blobs: map[string][]byte{}} }

// Get returns a copy of a blob.
func (m *MemoryBlobs) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	blob, ok := m.blobs[key]
	if !ok {
		return nil, fmt.Errorf("blob %s: %w", key, fs.ErrNotExist)
	}
	return slices.Clone(blob), nil
}

// Put stores a copy of a blob or, with nil, deletes it.
func (m *MemoryBlobs) Put(_ context.Context, key string, blob []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if blob == nil {
		delete(m.blobs, key)
		return nil
	}
	m.blobs[key] = slices.Clone(blob)
	return nil
}

// List lists the keys with a prefix.
func (m *MemoryBlobs) List(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := slices.DeleteFunc(slices.Collect(maps.Keys(m.blobs)), func(key string) bool { return !strings.HasPrefix(key, prefix) })
	slices.Sort(keys)
	return keys, nil
}
