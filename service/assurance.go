package service

// What a caller may ask a receipt's checkpoint to bear.
const (
	assuranceSealed    = "sealed"
	assuranceWitnessed = "witnessed"
)

// witnessed reads the parameter assurance.
func witnessed[T ~string](assurance *T) (bool, error) {
	switch {
	case assurance == nil, *assurance == assuranceSealed:
		return false, nil
	case *assurance == assuranceWitnessed:
		return true, nil
	}
	return false, errAssurance
}

var errAssurance = refuse(invalidAssurance, "The parameter assurance is sealed or witnessed, once.")
