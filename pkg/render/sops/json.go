package sops

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// jsonStore reads JSON.
type jsonStore struct{}

func (jsonStore) read(f *File) (map[string]any, *gitops.Error) {
	var whole struct {
		SOPS map[string]any `json:"sops"`
	}
	if err := json.Unmarshal(f.body, &whole); err != nil || whole.SOPS["mac"] == nil {
		return nil, nil //nolint:nilerr // it is not SOPS's
	}
	r := &jsonReader{File: f, decoder: json.NewDecoder(bytes.NewReader(f.body))}
	r.decoder.UseNumber()
	if _, err := r.decoder.Token(); err != nil {
		return nil, nil //nolint:nilerr // it is not SOPS's
	}
	if err := r.fields(nil); err != nil {
		return nil, f.fail(0, "the JSON cannot be read")
	}
	return whole.SOPS, nil
}

// jsonReader collects the leaves of a JSON object.
type jsonReader struct {
	*File
	decoder *json.Decoder
}

// next reads a token and tells where it is.
func (r *jsonReader) next() (t json.Token, start, end int, err error) {
	start = int(r.decoder.InputOffset())
	if t, err = r.decoder.Token(); err != nil {
		return nil, 0, 0, err
	}
	end = int(r.decoder.InputOffset())
	for bytes.IndexByte([]byte(" \t\r\n,:"), r.body[start]) >= 0 {
		start++
	}
	return t, start, end, nil
}

func (r *jsonReader) fields(path []string) error {
	for before := int(r.decoder.InputOffset()); r.decoder.More(); before = int(r.decoder.InputOffset()) {
		key, start, _, err := r.next()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if len(path) == 0 && name == "sops" {
			if err := r.metadata(start, before); err != nil {
				return err
			}
			continue
		}
		if err := r.value(append(path[:len(path):len(path)], name)); err != nil {
			return err
		}
	}
	_, err := r.decoder.Token()
	return err
}

// metadata cuts the metadata out, with the comma before it, or after it when it comes first.
func (r *jsonReader) metadata(start, before int) error {
	r.line = 1 + bytes.Count(r.body[:start], []byte("\n"))
	var skipped json.RawMessage
	if err := r.decoder.Decode(&skipped); err != nil {
		return err
	}
	end := int(r.decoder.InputOffset())
	if bytes.IndexByte(r.body[before:start], ',') < 0 && r.decoder.More() {
		before = start
		end += bytes.IndexByte(r.body[end:], ',') + 1
	}
	r.cuts = append(r.cuts, blank(r.body, before, end))
	return nil
}

func (r *jsonReader) value(path []string) error {
	t, start, end, err := r.next()
	if err != nil {
		return err
	}
	var v any
	switch t := t.(type) {
	case nil:
		return nil
	case json.Delim:
		if t == '{' {
			return r.fields(path)
		}
		for r.decoder.More() {
			if err := r.value(path); err != nil {
				return err
			}
		}
		_, err := r.decoder.Token()
		return err
	case json.Number:
		v = number(t)
	default:
		v = t
	}
	line := 1 + bytes.Count(r.body[:start], []byte("\n"))
	r.leaves = append(r.leaves, leaf{path: path, comments: [][]string{nil}, value: v, line: line, start: start, end: end})
	return nil
}

func number(n json.Number) any {
	if i, err := strconv.Atoi(n.String()); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	return f
}

func (jsonStore) quote(v any, _ string) string {
	body, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(body)
}

// plain indents with tabs, as SOPS does.
func (jsonStore) plain(p *Plain) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(p.Text), "", "\t"); err != nil {
		return nil, errors.New("the decrypted text is no JSON")
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// binaryStore reads what SOPS makes of any file that it does not know: JSON with the whole content as one value.
type binaryStore struct{}

func (binaryStore) read(f *File) (map[string]any, *gitops.Error) {
	var whole map[string]json.RawMessage
	meta, failed := jsonStore{}.read(f)
	if failed != nil || meta == nil {
		return nil, failed
	}
	if err := json.Unmarshal(f.body, &whole); err != nil || len(whole) != 2 || whole["data"] == nil || len(f.leaves) != 1 {
		f.store = jsonStore{}
		return meta, nil //nolint:nilerr // it is JSON like any other
	}
	// All of the file is the one value.
	f.leaves[0].start, f.leaves[0].end, f.cuts = 0, len(f.body), nil
	return meta, nil
}

func (binaryStore) quote(v any, _ string) string { return valueText(v) }

func (binaryStore) plain(p *Plain) ([]byte, error) { return p.Text, nil }
