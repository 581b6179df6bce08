package wire

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is an error in AWS's own terms. It travels to the client in the envelope of the service's protocol.
type Error struct {
	// Status is the HTTP status; 0 means 400.
	Status int
	// Code is AWS's code as it is on the wire, such as "ResourceNotFoundException" or "InvalidVpcID.NotFound".
	Code string
	// Message is the text for humans.
	Message string
	// Members are further members of the error's shape (JSON protocols only), such as clusterName of EKS's errors.
	Members map[string]any
	// Query is the code that the error had before its service came to speak JSON, for services whose clients still go by it
	// (awsQueryCompatible in their models); empty means none.
	Query string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// StatusCode is the HTTP status the error travels with.
func (e *Error) StatusCode() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Errorf makes an Error of status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// StatusErrorf makes an Error with an HTTP status.
func StatusErrorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Unsupported is what the simulator answers to something that AWS knows and the simulator does not. The status 501 is one
// that no AWS client retries.
func Unsupported(format string, args ...any) *Error {
	return &Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "the simulator has no " + fmt.Sprintf(format, args...)}
}

// Code returns the AWS code of err, or "" if err is not an *Error.
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// asError turns any error into one that can travel. What is not AWS's own is a bug of the simulator, and says so.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
}
