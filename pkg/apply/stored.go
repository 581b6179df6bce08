package apply

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// stored is a live object as it is kept between passes: at hand what every pass asks of every object, the rest as JSON, which
// takes a tenth of the memory of the maps that it decodes to. It is shared and never changed.
type stored struct {
	// ObjectMeta holds name, namespace, uid, resourceVersion, deletionTimestamp and our own labels; the rest is in the object.
	metav1.ObjectMeta
	key  key
	body []byte
	// object is there instead of body for what is looked at once.
	object *unstructured.Unstructured
}

// reference keeps an object as it is, for one look.
func reference(u *unstructured.Unstructured) *stored {
	s := &stored{key: keyOf(u), object: u, ObjectMeta: metav1.ObjectMeta{
		Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(), DeletionTimestamp: u.GetDeletionTimestamp(),
	}}
	labels := u.GetLabels()
	for _, ours := range []string{partOf, setID} {
		if id, ok := labels[ours]; ok {
			if s.Labels == nil {
				s.Labels = map[string]string{}
			}
			s.Labels[ours] = id
		}
	}
	return s
}

// pack keeps an object for long.
func pack(u *unstructured.Unstructured) (*stored, error) {
	body, err := json.Marshal(u.Object)
	if err != nil {
		return nil, fmt.Errorf("keeping %s: %w", u.GetName(), err)
	}
	s := reference(u)
	s.object, s.body = nil, body
	return s, nil
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
	if err := utiljson.Unmarshal(s.body, &u.Object); err != nil {
		panic(fmt.Sprintf("apply: a stored object does not decode: %v", err))
	}
	return u
}
