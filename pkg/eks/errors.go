package eks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// failure gives an error of AWS its reason. The text names the call and AWS's own code and message, never a request.
func failure(fallback gitops.Reason, r gitops.Ref, err error) *gitops.Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*gitops.Error](err); ok {
		return e
	}
	reason := fallback
	var network net.Error
	switch code := errorCode(err); {
	case denied(code):
		reason = gitops.AccessDenied
	case throttled(code):
		reason = gitops.Throttled
	case exhausted(code):
		reason = gitops.QuotaExceeded
	case code != "":
	case errors.Is(err, context.Canceled):
		reason = gitops.Interrupted
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		reason = gitops.Unreachable
	case strings.Contains(err.Error(), "credentials"):
		reason = gitops.AccessDenied
	}
	e := (&gitops.Error{Reason: reason, Err: brief(err)}).On(r)
	if expired(errorCode(err)) {
		// Whichever call found it out: all of them would.
		e.Err = errors.New("the AWS credentials are no longer valid: " + apiMessage(err))
		e.Try = "renew the credentials; who they are of: aws sts get-caller-identity"
	}
	if noCredentials(err) {
		e.Err = errors.New("no AWS credentials: neither the environment, nor a profile, nor the machine's or Pod's identity has any")
		e.Try = "aws sts get-caller-identity"
	}
	return e
}

// pathOf is where the file asks for a ref; "" for what eksctl adds by itself.
func (c *Config) pathOf(r gitops.Ref) string {
	for _, w := range c.wants() {
		if w.ref == r {
			return w.path
		}
	}
	return ""
}

// fieldsOf are the fields of the file that a change is about: those that differ, if they are few.
func (c *Config) fieldsOf(ch plan.Change) []string {
	const many = 3
	base := c.pathOf(ch.Ref)
	if ch.Action == plan.Create || len(ch.Edits) == 0 || len(ch.Edits) > many {
		return []string{base}
	}
	out := make([]string, 0, len(ch.Edits))
	for _, e := range ch.Edits {
		path := e.Path
		switch {
		case ch.Ref.Kind == KindCluster:
		case e.Path == "version" && position(c.From, join(base, "version")) == position(c.From, base):
			path = "metadata.version" // which such nodes and addons follow
		default:
			path = join(base, e.Path)
		}
		out = append(out, path)
	}
	return out
}

// inFields says which fields of the file an error of a change is about, and where the first of them is.
func (c *Config) inFields(ch plan.Change, e *gitops.Error) *gitops.Error {
	fields := c.fieldsOf(ch)
	if e.From.File != "" || e.Err == nil || fields[0] == "" {
		return e
	}
	out := *e
	out.Ref, out.From = ch.Ref, c.origin(fields[0])
	if !strings.Contains(e.Message(), fields[0]) {
		out.Err = fmt.Errorf("%s: %w", strings.Join(fields, ", "), e.Err)
	}
	return &out
}

// noCredentials reports whether the SDK found nobody to sign a request as. It has no type for that: its last resort is the
// machine's own identity, and only the wording tells that there is none.
func noCredentials(err error) bool {
	return errorCode(err) == "" && strings.Contains(err.Error(), "get credentials:") && strings.Contains(err.Error(), "IMDS")
}

// brief drops the SDK's wrapping (status codes, request ids, URLs) from the text; the cause stays in the chain.
func brief(err error) error {
	call := "AWS"
	if operation, ok := errors.AsType[*smithy.OperationError](err); ok {
		call = operation.Service() + ":" + operation.Operation()
	}
	if apiError, ok := errors.AsType[smithy.APIError](err); ok {
		return fmt.Errorf("%s: %s: %s", call, apiError.ErrorCode(), apiError.ErrorMessage())
	}
	if sent, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s: %w", call, sent)
	}
	return err
}

func apiMessage(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorMessage()
	}
	return ""
}

func errorCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func denied(code string) bool {
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException", "NotAuthorized",
		"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure",
		"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "MissingAuthenticationToken",
		"MissingAuthenticationTokenException", "OptInRequired", "InvalidAccessKeyId":
		return true
	}
	return expired(code)
}

// expired reports whether a code says that the credentials were good once: no permission is missing.
func expired(code string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired":
		return true
	}
	return false
}

func throttled(code string) bool {
	switch code {
	case "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException",
		"RequestThrottled", "RequestThrottledException", "SlowDown", "PriorRequestNotComplete":
		return true
	}
	return false
}

// exhausted reports whether a code says that a quota is used up. Each service has its own: ResourceLimitExceededException,
// LimitExceededException, VpcLimitExceeded, VcpuLimitExceeded, InstanceLimitExceeded, ServiceQuotaExceededException ...
func exhausted(code string) bool {
	return !throttled(code) && (strings.Contains(code, "LimitExceeded") || strings.Contains(code, "QuotaExceeded") || code == "MaxSpotInstanceCountExceeded")
}

// absent reports whether AWS says that a thing does not exist. CloudFormation says so with a ValidationError, which it
// uses for much else too; only the wording tells (API reference, DescribeStacks).
func absent(err error) bool {
	switch errorCode(err) {
	case "ResourceNotFoundException", "NotFoundException", "NoSuchEntity", "InvalidLaunchTemplateId.NotFound",
		"InvalidLaunchTemplateId.VersionNotFound", "StackNotFoundException", "LoadBalancerNotFound", "InvalidGroup.NotFound",
		"InvalidNetworkInterfaceID.NotFound":
		return true
	case "ValidationError":
		if e, ok := errors.AsType[smithy.APIError](err); ok {
			return strings.Contains(e.ErrorMessage(), "does not exist")
		}
	}
	return false
}

// exists reports whether a create call found that it was made before, and so whether it was accepted already.
func exists(err error) bool {
	if _, ok := errors.AsType[*cfntypes.AlreadyExistsException](err); ok {
		return true
	}
	switch errorCode(err) {
	case "AlreadyExistsException", "EntityAlreadyExists", "ResourceAlreadyExistsException":
		return true
	}
	return false
}

// busy reports whether another operation holds the lock of the thing; it is tried again when that is over.
func busy(err error) bool {
	switch errorCode(err) {
	case "ResourceInUseException", "ScalingActivityInProgress", "ScalingActivityInProgressFault", "ResourceContention",
		"ResourceContentionFault", "OperationInProgressException":
		return true
	case "InvalidRequestException", "ValidationError":
		if e, ok := errors.AsType[smithy.APIError](err); ok {
			text := e.ErrorMessage()
			return strings.Contains(text, "IN_PROGRESS") || strings.Contains(text, "in progress") || strings.Contains(text, "currently being")
		}
	}
	return false
}

// turnedDown reports whether this very change was turned down, by AWS or by a rule of ours: other changes may go ahead.
func turnedDown(err error) bool {
	if _, ours := errors.AsType[*gitops.Error](err); ours {
		return true
	}
	code := errorCode(err)
	return code != "" && !busy(err) && !throttled(code)
}
