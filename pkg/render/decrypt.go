package render

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

// ErrSealed is why a sealed renderer cannot render something: what is encrypted decides about more than values.
var ErrSealed = errors.New("it cannot be checked without the key")

// decrypter opens the encrypted files that one build reads, and knows afterwards what came out of them. It lives as long as the
// build, and is safe for concurrent use.
type decrypter struct {
	// ctx is the build's: kustomize's interfaces have no room for it.
	ctx   context.Context
	files fs.FS
	// with finds the keys when the first encrypted file wants them.
	with   func() ring
	sealed bool
	// closed refuses encrypted files.
	closed bool
	// before are the files that the last render opened with the same keys.
	before map[string]*opened

	mu sync.Mutex
	// opened are the files that were read, by where they really are; nil is one that is not encrypted.
	opened map[string]*opened
	// payloads are files whose content as a whole becomes a value, by where they really are.
	payloads map[string]bool
	secret   taint
}

// ring is the keys of a cluster, or why there are none.
type ring struct {
	keys   sops.Keys
	failed *gitops.Error
}

// opened is what an encrypted file came to: its text line by line, and what `sops decrypt` prints.
type opened struct {
	// sum is that of the encrypted content.
	sum          [sha256.Size]byte
	text, output []byte
	// values are what must be hidden.
	values []sops.Value
	failed *gitops.Error
}

// newDecrypter opens nothing but what before has: it is given no keys.
func newDecrypter(files fs.FS) *decrypter {
	none := func() ring {
		return ring{failed: gitops.Errorf(gitops.DecryptFailed, "the file is encrypted, and no key is at hand")}
	}
	return &decrypter{files: files, with: none, opened: map[string]*opened{}, payloads: map[string]bool{}, secret: newTaint()}
}

// unlock gives the keys, or has placeholders put where values are.
func (d *decrypter) unlock(ctx context.Context, with func() ring, sealed bool) {
	d.ctx, d.with, d.sealed = ctx, with, sealed
}

// open gives the content of a file, decrypted if it is encrypted. A nil decrypter gives every file as it is.
func (d *decrypter) open(name string, body []byte) ([]byte, error) {
	return d.read(name, body, func(real string, o *opened) []byte {
		if d.payloads[real] {
			return o.output
		}
		return o.text
	})
}

// text is open with every line where the file has it.
func (d *decrypter) text(name string, body []byte) ([]byte, error) {
	return d.read(name, body, func(_ string, o *opened) []byte { return o.text })
}

func (d *decrypter) read(name string, body []byte, form func(real string, o *opened) []byte) ([]byte, error) {
	if d == nil {
		return body, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	real := d.real(name)
	o, known := d.opened[real]
	if !known {
		if o = d.before[real]; o == nil || o.sum != sha256.Sum256(body) {
			o = d.decrypt(name, body)
		}
		d.take(real, o)
	}
	switch {
	case o == nil:
		return body, nil
	case o.failed != nil:
		return nil, o.failed
	}
	return form(real, o), nil
}

// real is where a file is, links followed.
func (d *decrypter) real(name string) string {
	if real, err := realPath(d.files, name); err == nil {
		return real
	}
	return name
}

// take notes what a file came to, and what must be hidden of it.
func (d *decrypter) take(real string, o *opened) {
	d.opened[real] = o
	if o != nil && len(o.values) > 0 {
		d.secret.learn(o.values)
		d.secret.exact[string(o.output)] = true
	}
}

// of is what a file that was read came to; nil for one that is not encrypted.
func (d *decrypter) of(name string) *opened {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opened[d.real(name)]
}

// again takes over a file that is not read, because it is as it was at the last render: its values are hidden all the same.
func (d *decrypter) again(name string, o *opened) {
	if d == nil || o == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.take(d.real(name), o)
}

// copied notes that the kustomizations copy values into fields of a name, or anyField.
func (d *decrypter) copied(field string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secret.copied[field] = true
}

// derived notes what a chart made of decrypted values.
func (d *decrypter) derived(values []sops.Value) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secret.derive(values)
}

// all are the encrypted files that were opened.
func (d *decrypter) all() map[string]*opened {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := maps.Clone(d.opened)
	maps.DeleteFunc(out, func(_ string, o *opened) bool { return o == nil || o.failed != nil })
	return out
}

// decrypt opens one file; nil is a file that is not encrypted.
func (d *decrypter) decrypt(name string, body []byte) *opened {
	f, failed := sops.Read(name, body)
	switch {
	case failed != nil:
		return &opened{failed: failed}
	case f == nil:
		return nil
	case d.closed:
		e := problem(gitops.DecryptFailed, name, f.Line(), "the file is encrypted, and a ClusterConfig is shown in plain wherever it is compared")
		e.Try = "put what is secret into an overlay, or decrypt the file: sops decrypt --in-place " + name
		return &opened{failed: e}
	case d.sealed:
		return d.seal(f, body)
	}
	with := d.with()
	if with.failed != nil {
		return &opened{failed: with.failed}
	}
	plain, failed := f.Decrypt(d.ctx, with.keys)
	if failed != nil {
		return &opened{failed: failed}
	}
	output, err := plain.Output()
	if err != nil {
		return &opened{failed: problem(gitops.DecryptFailed, name, f.Line(), "%w", err)}
	}
	return &opened{sum: sha256.Sum256(body), text: plain.Text, output: output, values: plain.Values}
}

// seal puts placeholders where values are.
func (d *decrypter) seal(f *sops.File, body []byte) *opened {
	plain := f.Placeholders()
	if slices.ContainsFunc(plain.Values, identifies) {
		return &opened{failed: problem(gitops.DecryptFailed, f.Name(), f.Line(), "the apiVersion, kind, name or namespace of an object in it is encrypted: %w", ErrSealed)}
	}
	output, err := plain.Output()
	if err != nil {
		return &opened{failed: problem(gitops.DecryptFailed, f.Name(), f.Line(), "%w", err)}
	}
	return &opened{sum: sha256.Sum256(body), text: plain.Text, output: output}
}

// payload notes that the content of a file as a whole becomes a value: it is then what `sops decrypt` prints.
func (d *decrypter) payload(name string) {
	if d == nil || name == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.payloads[d.real(name)] = true
}

// values are the decrypted values that must not appear in messages.
func (d *decrypter) values() []string {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.secret.told()
}

// marks are the fields of an object whose values came out of an encrypted file.
func (d *decrypter) marks(spec gitops.Tree) []string {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.secret.marks(spec)
}

// silence takes decrypted values out of the problems of a build.
func (d *decrypter) silence(problems []*gitops.Error) {
	values := d.values()
	for _, p := range problems {
		if p.Reason == gitops.DecryptFailed || len(values) == 0 {
			continue
		}
		said := p.Message()
		if clean := plan.Without(said, values); clean != said {
			p.Err = errors.New(clean)
		}
	}
}

// Concealed is what stands for decrypted values where they are not asked for.
const Concealed = "‹decrypted›"

// Conceal takes decrypted values out of what will be printed.
func Conceal(d gitops.Desired) gitops.Desired {
	d.Items = slices.Clone(d.Items)
	for i, item := range d.Items {
		d.Items[i].Spec = plan.Mask(item.Spec, item.From.Secrets, func(any) any { return Concealed })
	}
	return d
}
