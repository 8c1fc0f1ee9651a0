package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// What is used of PKCS#11 v2.40 and v3.0, on systems where a CK_ULONG has 64 bits.
const (
	ckrOK             = 0
	ckrLoggedIn       = 0x100
	ckfSerialSession  = 0x4
	ckuUser           = 1
	ckaClass          = 0x0
	ckaLabel          = 0x3
	ckaKeyType        = 0x100
	ckaECPoint        = 0x181
	ckoPublicKey      = 2
	ckoPrivateKey     = 3
	ckkECEdwards      = 0x40
	ckmEdDSA          = 0x1057
	maxSlots          = 256
	tokenInfoSize     = 1024 // a CK_TOKEN_INFO has 208 bytes
	tokenLabelSize    = 32
	maxECPoint        = 256
	maxObjectsOfLabel = 2
)

// functions is CK_FUNCTION_LIST up to C_Sign.
type functions struct {
	_    [2]byte // its version
	list [44]uintptr
}

// Places in the list.
const (
	fInitialize        = 0
	fGetSlotList       = 4
	fGetTokenInfo      = 6
	fOpenSession       = 12
	fLogin             = 18
	fGetAttributeValue = 24
	fFindObjectsInit   = 26
	fFindObjects       = 27
	fFindObjectsFinal  = 28
	fSignInit          = 42
	fSign              = 43
)

// attribute is CK_ATTRIBUTE.
type attribute struct {
	kind   uint64
	value  unsafe.Pointer
	length uint64
}

// mechanism is CK_MECHANISM.
type mechanism struct {
	kind uint64
	_    unsafe.Pointer // its parameter: EdDSA has none
	_    uint64         // the parameter's length
}

// token is one token, logged in to.
type token struct {
	functions *functions
	session   uint64
	keys      []key
}

// key is one Ed25519 key pair on it.
type key struct {
	private uint64
	public  []byte
}

// address is where p points to, which neither moves nor is collected until pin lets go.
func address[T any](pin *runtime.Pinner, p *T) uintptr {
	pin.Pin(p)
	return uintptr(unsafe.Pointer(p))
}

// call calls a function of the library. Each address among args is pinned by the caller.
func (t *token) call(name string, place int, args ...uintptr) error {
	code, _, _ := purego.SyscallN(t.functions.list[place], args...)
	if code != ckrOK {
		return codeError{name, uint64(code)}
	}
	return nil
}

type codeError struct {
	call string
	code uint64
}

func (e codeError) Error() string {
	return fmt.Sprintf("%s of the token's library answers 0x%x", e.call, e.code)
}

// openToken loads the library, logs in to the token and finds the keys.
func openToken(h hello) (*token, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	library, err := purego.Dlopen(h.Module, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("the token's library cannot be loaded: %w", err)
	}
	get, err := purego.Dlsym(library, "C_GetFunctionList")
	if err != nil {
		return nil, fmt.Errorf("%s is no PKCS#11 library: %w", h.Module, err)
	}
	t := &token{}
	if code, _, _ := purego.SyscallN(get, address(&pin, &t.functions)); code != ckrOK || t.functions == nil {
		return nil, codeError{"C_GetFunctionList", uint64(code)}
	}
	if err := t.call("C_Initialize", fInitialize, 0); err != nil {
		return nil, err
	}
	slot, err := t.slot(h.Token)
	if err != nil {
		return nil, err
	}
	if err := t.call("C_OpenSession", fOpenSession, uintptr(slot), ckfSerialSession, 0, 0, address(&pin, &t.session)); err != nil {
		return nil, err
	}
	if err := t.login(h.PIN); err != nil {
		return nil, err
	}
	for _, label := range h.Keys {
		k, err := t.key(label)
		if err != nil {
			return nil, fmt.Errorf("the key %q on the token %q: %w", label, h.Token, err)
		}
		t.keys = append(t.keys, k)
	}
	return t, nil
}

// slot returns the one slot whose token has that label.
func (t *token) slot(label string) (uint64, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	slots, count := make([]uint64, maxSlots), uint64(maxSlots)
	if err := t.call("C_GetSlotList", fGetSlotList, 1, address(&pin, &slots[0]), address(&pin, &count)); err != nil {
		return 0, err
	}
	var found []uint64
	for _, s := range slots[:min(count, maxSlots)] {
		info := make([]byte, tokenInfoSize)
		if err := t.call("C_GetTokenInfo", fGetTokenInfo, uintptr(s), address(&pin, &info[0])); err != nil {
			continue // a reader whose token was taken out
		}
		if strings.TrimRight(string(info[:tokenLabelSize]), " ") == label {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("%d tokens have the label %q", len(found), label)
	}
	return found[0], nil
}

func (t *token) login(secret string) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	text := append([]byte(secret), 0)
	err := t.call("C_Login", fLogin, uintptr(t.session), ckuUser, address(&pin, &text[0]), uintptr(len(secret)))
	if told := (codeError{}); errors.As(err, &told) && told.code == ckrLoggedIn {
		return nil
	}
	return err
}

// key finds the key pair of that label.
func (t *token) key(label string) (key, error) {
	private, err := t.find(ckoPrivateKey, label)
	if err != nil {
		return key{}, fmt.Errorf("private key: %w", err)
	}
	public, err := t.find(ckoPublicKey, label)
	if err != nil {
		return key{}, fmt.Errorf("public key: %w", err)
	}
	point, err := t.point(public)
	return key{private, point}, err
}

// find returns the one Ed25519 object of that class and label.
func (t *token) find(class uint64, label string) (uint64, error) {
	if label == "" {
		return 0, errors.New("it has no label")
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	kind, text := uint64(ckkECEdwards), []byte(label)
	attributes := []attribute{
		{ckaClass, unsafe.Pointer(&class), 8},
		{ckaKeyType, unsafe.Pointer(&kind), 8},
		{ckaLabel, unsafe.Pointer(&text[0]), uint64(len(text))},
	}
	pin.Pin(&class)
	pin.Pin(&kind)
	pin.Pin(&text[0])
	if err := t.call("C_FindObjectsInit", fFindObjectsInit, uintptr(t.session), address(&pin, &attributes[0]), uintptr(len(attributes))); err != nil {
		return 0, err
	}
	objects, count := make([]uint64, maxObjectsOfLabel), uint64(0)
	err := t.call("C_FindObjects", fFindObjects, uintptr(t.session), address(&pin, &objects[0]), maxObjectsOfLabel, address(&pin, &count))
	if err := errors.Join(err, t.call("C_FindObjectsFinal", fFindObjectsFinal, uintptr(t.session))); err != nil {
		return 0, err
	}
	switch count {
	case 0:
		return 0, errors.New("there is no Ed25519 key of that label")
	case 1:
		return objects[0], nil
	}
	return 0, errors.New("several have that label")
}

// point returns the public key: CKA_EC_POINT, which is 32 bytes in a DER octet string, or
// the 32 bytes alone.
func (t *token) point(object uint64) ([]byte, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	value := make([]byte, maxECPoint)
	pin.Pin(&value[0])
	a := []attribute{{ckaECPoint, unsafe.Pointer(&value[0]), maxECPoint}}
	if err := t.call("C_GetAttributeValue", fGetAttributeValue, uintptr(t.session), uintptr(object), address(&pin, &a[0]), 1); err != nil {
		return nil, err
	}
	value = value[:min(a[0].length, maxECPoint)]
	point := bytes.TrimPrefix(value, []byte{0x04, ed25519.PublicKeySize})
	if len(point) != ed25519.PublicKeySize {
		return nil, errors.New("it is not an Ed25519 key")
	}
	return slices.Clone(point), nil
}

// sign signs a message with Ed25519.
func (t *token) sign(k key, message []byte) ([]byte, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	m := []mechanism{{kind: ckmEdDSA}}
	if err := t.call("C_SignInit", fSignInit, uintptr(t.session), address(&pin, &m[0]), uintptr(k.private)); err != nil {
		return nil, err
	}
	signature, length := make([]byte, ed25519.SignatureSize), uint64(ed25519.SignatureSize)
	err := t.call("C_Sign", fSign, uintptr(t.session), address(&pin, &message[0]), uintptr(len(message)), address(&pin, &signature[0]), address(&pin, &length))
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(k.public, message, signature[:min(length, ed25519.SignatureSize)]) {
		return nil, errors.New("the token's signature does not verify under its public key")
	}
	return signature, nil
}
