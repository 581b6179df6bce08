package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// link is one connection to one API server.
type link struct {
	identity gitops.Digest
	manager  string
	client   dynamic.Interface
	// names reads objects' metadata only.
	names   metadata.Interface
	catalog *catalog
	http    *http.Client
	now     func() time.Time

	mu sync.Mutex
	// classes are the volume binding modes of storage classes, as read lately: a mode cannot change while the class lives.
	classes map[string]bindingMode
}

type bindingMode struct {
	mode string
	read time.Time
}

// dial makes a link. It performs no I/O.
func dial(a Access, o Options) (*link, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	// One gate for everything that is sent; the token goes inside it, so that waiting does not age it, and so does the bound, which is for
	// each try. What is to be repeated waits outside, and takes nobody's place.
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		if a.Token != nil {
			next = bearer{token: a.Token, next: next}
		}
		return again{newGate(bounded{next, o.Timeout}, o.Now)}
	})
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection: %w", err)
	}
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection: %w", err)
	}
	api, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection: %w", err)
	}
	names, err := metadata.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection: %w", err)
	}
	return &link{identity: a.identity(), manager: o.Manager, client: objects, names: names, catalog: newCatalog(api, o.Now), http: client, now: o.Now, classes: map[string]bindingMode{}}, nil
}

func (l *link) close() { l.http.CloseIdleConnections() }

// resource addresses the objects of a kind, in a namespace or cluster-wide.
func (l *link) resource(k kind, namespace string) dynamic.ResourceInterface {
	all := l.client.Resource(k.gvr())
	if k.Namespaced && namespace != "" {
		return all.Namespace(namespace)
	}
	return all
}

// get reads a live object; nil without an error when there is none.
func (l *link) get(ctx context.Context, k kind, name key) (*unstructured.Unstructured, error) {
	u, err := l.resource(k, name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // absence is an answer, not an error
	}
	return u, err
}

// patch is a server-side apply. Unknown and duplicate fields are errors: what git says must not be dropped silently. The answer is
// read once; the dynamic client would read it twice.
func (l *link) patch(ctx context.Context, w want, payload gitops.Tree, force, dry bool) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encoding the object: %w", err)
	}
	request := l.catalog.client.RESTClient().Patch(types.ApplyPatchType).AbsPath(append(endpoint(w.kind, w.key.Namespace), w.key.Name)...).Body(body).
		SetHeader("Accept", "application/json").
		Param("fieldManager", l.manager).Param("force", strconv.FormatBool(force)).Param("fieldValidation", metav1.FieldValidationStrict)
	if dry {
		request = request.Param("dryRun", metav1.DryRunAll)
	}
	answer := request.Do(ctx)
	if err := answer.Error(); err != nil {
		return nil, err
	}
	body, err = answer.Raw()
	if err != nil {
		return nil, err
	}
	after := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(body, &after.Object); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return after, nil
}

// acceptsAnew reports whether the server would take the object if it were created: then it was refused only because it exists
// in another form, so replacing it is a way. A dry-run creation under the live object's name passes all of validation and
// admission before it meets the name, so "already exists" is the answer of an object that is valid.
func (l *link) acceptsAnew(ctx context.Context, w want) bool {
	u := &unstructured.Unstructured{Object: gitops.Clone(w.payload)}
	_, err := l.resource(w.kind, w.key.Namespace).Create(ctx, u, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: l.manager, FieldValidation: metav1.FieldValidationStrict,
	})
	return apierrors.IsAlreadyExists(err)
}

// anew is what the server would store if the object were created: a dry run under a name that is not taken. Nil when the kind
// does not take just any name.
func (l *link) anew(ctx context.Context, w want) gitops.Tree {
	u := &unstructured.Unstructured{Object: gitops.Clone(w.payload)}
	u.SetName(w.key.Name[:min(len(w.key.Name), 40)] + "-" + string(w.digest))
	stored, err := l.resource(w.kind, w.key.Namespace).Create(ctx, u, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: l.manager, FieldValidation: metav1.FieldValidationStrict,
	})
	if err != nil {
		return nil
	}
	stored.SetName(w.key.Name)
	return stored.Object
}

// take books fields as ours that others own, in the very object that was looked at: managedFields is replaced under the
// precondition that nothing changed since.
func (l *link) take(ctx context.Context, w want, live *unstructured.Unstructured, fields []metav1.ManagedFieldsEntry) error {
	body, err := json.Marshal([]gitops.Tree{
		{"op": "replace", "path": "/metadata/managedFields", "value": fields},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": live.GetResourceVersion()},
	})
	if err != nil {
		return fmt.Errorf("encoding managed fields: %w", err)
	}
	_, err = l.resource(w.kind, w.key.Namespace).Patch(ctx, w.key.Name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: l.manager})
	return err
}

// served finds a kind, and asks the server anew before it says that there is none.
func (l *link) served(ctx context.Context, gk schema.GroupKind) (kind, bool, error) {
	if k, ok := l.catalog.serving(gk); ok {
		return k, true, nil
	}
	err := l.catalog.refresh(ctx, 0)
	k, ok := l.catalog.serving(gk)
	return k, ok, err
}
