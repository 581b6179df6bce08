package world

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// store keeps one file per part and a manifest that names the files of one instant. Files are written under new names and
// the manifest is replaced by rename, so a process that dies between any two system calls leaves either the old instant or
// the new one, never a mixture of services.
type store struct {
	dir  string
	last map[string][]byte // what the manifest's files hold
	man  manifest
}

type manifest struct {
	Generation uint64            `json:"generation"`
	Files      map[string]string `json:"files"` // part -> file name
}

const manifestName = "world.json"

func newStore(dir string) *store {
	return &store{dir: dir, last: map[string][]byte{}, man: manifest{Files: map[string]string{}}}
}

func (s *store) load(parts []Part) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading state: %w", err)
	}
	if err := json.Unmarshal(raw, &s.man); err != nil {
		return fmt.Errorf("reading state %s: %w", manifestName, err)
	}
	for _, p := range parts {
		name, ok := s.man.Files[p.Name]
		if !ok {
			continue
		}
		body, err := os.ReadFile(filepath.Join(s.dir, filepath.Base(name)))
		if err != nil {
			return fmt.Errorf("reading state of %s: %w", p.Name, err)
		}
		if err := json.Unmarshal(body, p.State); err != nil {
			return fmt.Errorf("reading state of %s from %s: %w", p.Name, name, err)
		}
		s.last[p.Name] = body
	}
	return nil
}

// save writes the parts that changed since the last save.
func (s *store) save(parts []Part) error {
	next := manifest{Generation: s.man.Generation + 1, Files: map[string]string{}}
	fresh := map[string][]byte{}
	for _, p := range parts {
		if p.State == nil {
			continue
		}
		body, err := json.Marshal(p.State)
		if err != nil {
			return fmt.Errorf("encoding state of %s: %w", p.Name, err)
		}
		next.Files[p.Name] = s.man.Files[p.Name]
		if next.Files[p.Name] == "" || !bytes.Equal(body, s.last[p.Name]) {
			next.Files[p.Name] = fmt.Sprintf("%s.%d.json", p.Name, next.Generation)
			fresh[p.Name] = body
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	for name, body := range fresh {
		if err := writeSynced(filepath.Join(s.dir, next.Files[name]), body); err != nil {
			return fmt.Errorf("writing state of %s: %w", name, err)
		}
	}
	if err := s.commit(next); err != nil {
		return err
	}
	s.man = next
	for name, body := range fresh {
		s.last[name] = body
	}
	s.sweep()
	return nil
}

func (s *store) commit(m manifest) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", manifestName, err)
	}
	temp := filepath.Join(s.dir, manifestName+".new")
	if err := writeSynced(temp, raw); err != nil {
		return fmt.Errorf("writing %s: %w", manifestName, err)
	}
	if err := os.Rename(temp, filepath.Join(s.dir, manifestName)); err != nil {
		return fmt.Errorf("replacing %s: %w", manifestName, err)
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return fmt.Errorf("syncing the state folder: %w", err)
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("syncing the state folder: %w", err)
	}
	return nil
}

// sweep removes files of earlier generations. Leaving one behind costs only space, so errors are not reported.
func (s *store) sweep() {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	keep := map[string]bool{}
	for _, f := range s.man.Files {
		keep[f] = true
	}
	for _, e := range entries {
		if part, _, ok := strings.Cut(e.Name(), "."); ok && s.man.Files[part] != "" && e.Name() != manifestName && !keep[e.Name()] {
			_ = os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
}

func writeSynced(path string, body []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
