package main

// What is said of depositors' own keys and signatures, and of those inside documents.
var (
	sayKeyShort = phrase{"Make and show the key that you sign deposits with", "生成并显示用于签署存证的密钥"}
	sayKeyLong  = phrase{
		`A depositor may sign what it deposits with a key of its own. The signature stands in the
record, and whoever verifies a receipt sees by which key it was made. Give the key's
fingerprint to those who are to compare it, and to the depository's operator, who can
register it.`,
		`存证人可以用自己的密钥签署存证内容。签名写入描述，核验回执的任何人都能看到签名所用的密钥。
请将密钥指纹告知需要比对的各方，以及可以登记该密钥的存证机构运营者。`,
	}
	sayKeyExample = phrase{
		`  muniment key new lender.pem
  muniment deposit contract.pdf --contract HT-2026-000117 --sign-key lender.pem
  muniment verify contract.pdf --policy depository.policy --depositor-key lender.pem.pub`,
		`  muniment key new 贷款人.pem
  muniment deposit 合同.pdf --contract HT-2026-000117 --sign-key 贷款人.pem
  muniment verify 合同.pdf --policy depository.policy --depositor-key 贷款人.pem.pub`,
	}
	sayKeyNewShort = phrase{"Make a new key", "生成新密钥"}
	sayKeyNewLong  = phrase{
		`Write a new private key to FILE (PKCS #8 in PEM, for its owner alone), and its public half
to FILE.pub. A key in hardware is used through the Go client.

JSON: file, algorithm, fingerprint, key.`,
		`将新私钥写入 FILE（PEM 格式的 PKCS #8，仅所有者可读），公钥写入 FILE.pub。
硬件中的密钥请通过 Go 客户端使用。

JSON 字段：file、algorithm、fingerprint、key。`,
	}
	sayKeyShowShort = phrase{"Show a key's public half and fingerprint", "显示公钥与指纹"}
	sayKeyShowLong  = phrase{
		`Show the public half of a key, private or public, and its fingerprint: the SHA-256 of the
SubjectPublicKeyInfo in DER.

JSON: file, algorithm, fingerprint, key.`,
		`显示密钥（私钥或公钥文件）的公钥及其指纹，即 DER 格式 SubjectPublicKeyInfo 的 SHA-256。

JSON 字段：file、algorithm、fingerprint、key。`,
	}
	sayFlagP256         = phrase{"ECDSA on P-256 instead of Ed25519", "使用 P-256 上的 ECDSA，而非 Ed25519"}
	sayFlagSignKey      = phrase{"sign with the private key in this `file`, as key new makes it", "用此 `file` 中的私钥签名（由 key new 生成）"}
	sayFlagDepositorKey = phrase{"demand the depositor's own signature by this `key`, a fingerprint or a file; may be repeated", "要求存证人以此 `key`（指纹或文件）签名，可重复"}

	sayWhichKeyFile   = phrase{"say which file the key is in", "请指明密钥所在的文件"}
	sayNoKey          = phrase{"%s holds no key in PEM", "%s 中没有 PEM 格式的密钥"}
	sayNoPrivateKey   = phrase{"%s holds no private key as PKCS #8 in PEM, not encrypted", "%s 中没有 PEM 格式且未加密的 PKCS #8 私钥"}
	sayOtherAlgorithm = phrase{"%s holds a key of another algorithm than Ed25519 and ECDSA on P-256", "%s 中的密钥既非 Ed25519，也非 P-256 上的 ECDSA"}
	sayKeyExposed     = phrase{"%s may be read by others; run chmod 600 on it", "他人可以读取 %s；请执行 chmod 600"}

	headKeyFile     = phrase{"File", "文件"}
	headAlgorithm   = phrase{"Algorithm", "算法"}
	headFingerprint = phrase{"Fingerprint", "指纹"}
	headKey         = phrase{"Public key", "公钥"}
)
