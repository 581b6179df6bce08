package apply

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// stored is a live object as it is kept between passes: at hand what every pass asks of every object, the rest as deflated JSON, which
// takes a twentieth of the memory of the maps that it decodes to. It is shared and never changed.
type stored struct {
	key          key
	uid, version string
	// set is the set that its label says it is in, parent the one that it is the parent of.
	set, parent string
	body        []byte
	// object is there instead of body for what is looked at once.
	object *unstructured.Unstructured
}

// reference keeps an object as it is, for one look.
func reference(u *unstructured.Unstructured) *stored {
	labels := gitops.TreeAt(u.Object, "metadata", "labels")
	set, _ := labels[partOf].(string)
	parent, _ := labels[setID].(string)
	return &stored{key: keyOf(u), object: u, uid: string(u.GetUID()), version: u.GetResourceVersion(), set: set, parent: parent}
}

// GetObjectMeta implements metav1.ObjectMetaAccessor: informers ask for names and versions.
func (s *stored) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Name: s.key.Name, Namespace: s.key.Namespace, UID: types.UID(s.uid), ResourceVersion: s.version}
}

// pack keeps an object for long.
func pack(u *unstructured.Unstructured) (*stored, error) {
	body, err := json.Marshal(u.Object)
	if err != nil {
		return nil, fmt.Errorf("keeping %s: %w", u.GetName(), err)
	}
	s := reference(u)
	s.object, s.body = nil, deflate(body)
	for _, text := range []*string{&s.key.Group, &s.key.Kind, &s.key.Namespace, &s.key.Name, &s.set} {
		*text = unique.Make(*text).Value() // git has the same names
	}
	return s, nil
}

// What deflates and inflates takes far more memory than an object: it is used again.
//
//nolint:gochecknoglobals // pools hold nothing that anybody could tell apart
var deflaters, inflaters sync.Pool

func deflate(body []byte) []byte {
	var out bytes.Buffer
	w, pooled := deflaters.Get().(*flate.Writer)
	if !pooled {
		w, _ = flate.NewWriter(nil, flate.BestSpeed) // the level is one
	}
	defer deflaters.Put(w)
	w.Reset(&out)
	// Writing to memory does not fail.
	_, _ = w.Write(body)
	_ = w.Close()
	return bytes.Clone(out.Bytes())
}

func inflate(body []byte) ([]byte, error) {
	from := bytes.NewReader(body)
	r, pooled := inflaters.Get().(io.Reader)
	if !pooled {
		r = flate.NewReader(from)
	}
	defer inflaters.Put(r)
	if again, ok := r.(flate.Resetter); ok && pooled {
		if err := again.Reset(from, nil); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(r)
}

// whole is the object itself; nil for nil. What was packed can be decoded: it came from JSON.
func (s *stored) whole() *unstructured.Unstructured {
	switch {
	case s == nil:
		return nil
	case s.object != nil:
		return s.object
	}
	u := &unstructured.Unstructured{}
	body, err := inflate(s.body)
	if err == nil {
		err = utiljson.Unmarshal(body, &u.Object)
	}
	if err != nil {
		panic(fmt.Sprintf("apply: a stored object does not decode: %v", err))
	}
	return u
}
