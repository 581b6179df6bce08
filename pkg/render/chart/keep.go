package chart

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// What was fetched is kept as KEY-DIGEST.tgz: a file that is not what its name says is not used, and is fetched again.

func (p *Puller) load(s Source) []byte {
	p.mu.Lock()
	body := p.kept[s.key()]
	p.mu.Unlock()
	if body != nil || p.options.Cache == "" {
		return body
	}
	found, err := filepath.Glob(filepath.Join(p.options.Cache, s.key()+"-*.tgz"))
	if err != nil {
		return nil
	}
	for _, file := range found {
		body, err := os.ReadFile(file)
		if err == nil && strings.HasSuffix(file, "-"+digest(body)+".tgz") {
			return body
		}
	}
	return nil
}

// save keeps an archive, in memory where the folder cannot be written.
func (p *Puller) save(s Source, body []byte) {
	written := p.options.Cache != "" && p.write(s, body) == nil
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.failed, s.key())
	if !written {
		p.kept[s.key()] = body
	}
}

func (p *Puller) write(s Source, body []byte) error {
	if err := os.MkdirAll(p.options.Cache, 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(p.options.Cache, ".chart-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(body)
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temporary.Name(), filepath.Join(p.options.Cache, s.key()+"-"+digest(body)+".tgz"))
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
