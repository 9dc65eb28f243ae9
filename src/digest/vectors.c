/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where they are from: the check values of the CRC catalogue; the xxHash specification; FIPS 180-4
 * and 202 and the examples that NIST gives with them; RFC 1321 (MD5), 2202 and 4231 (HMAC over MD5,
 * SHA-1, SHA-2: cases 2 and 6), 4493 (CMAC) and SP 800-38B, 7693 (BLAKE2). HMAC over SHA-3 and
 * BLAKE2, and BLAKE2 with other output lengths, were computed with Python's hashlib.
 */
#include "digest/vectors.h"

#define TWO_BLOCKS "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
#define FOUR_BLOCKS                                                                                \
	"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"                                 \
	"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
#define NOTHING "what do ya want for nothing?"
#define LARGER	"Test Using Larger Than Block-Size Key - Hash Key First"

#define AES_MESSAGE                                                                                \
	"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a"                         \
	"\xae\x2d\x8a\x57\x1e\x03\xac\x9c\x9e\xb7\x6f\xac\x45\xaf\x8e\x51"                         \
	"\x30\xc8\x1c\x46\xa3\x5c\xe4\x11"

#define HASH(name, text, hex)                                                                      \
	{                                                                                          \
		name, 0, 0, 0, text, sizeof(text) - 1, hex                                         \
	}
#define HMAC(name, key, times, text, hex)                                                          \
	{                                                                                          \
		name, key, sizeof(key) - 1, times, text, sizeof(text) - 1, hex                     \
	}

const struct digest_vector digest_vectors[] = {
	HASH("crc32c", "123456789", "839206e3"),
	HASH("crc32", "123456789", "882dfd2d"),
	HASH("xxhash64", "", "99e9d85137db46ef"),
	HASH("xxhash64", "abc", "990977adf52cbc44"),

	HASH("md5", "abc", "900150983cd24fb0d6963f7d28e17f72"),
	HASH("md5", TWO_BLOCKS, "8215ef0796a20bcaaae116d3876c664a"),
	HASH("sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
	HASH("sha1", TWO_BLOCKS, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
	HASH("sha224", "abc", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
	HASH("sha224", TWO_BLOCKS, "75388b16512776cc5dba5da1fd890150b0c6455cb4f58b1952522525"),
	HASH("sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
	HASH("sha256", TWO_BLOCKS,
	     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
	HASH("sha384", "abc",
	     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
	     "8086072ba1e7cc2358baeca134c825a7"),
	HASH("sha384", FOUR_BLOCKS,
	     "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712"
	     "fcc7c71a557e2db966c3e9fa91746039"),
	HASH("sha512", "abc",
	     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"),
	HASH("sha512", FOUR_BLOCKS,
	     "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
	     "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"),
	HASH("sha3-224", "abc", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
	HASH("sha3-224", TWO_BLOCKS, "8a24108b154ada21c9fd5574494479ba5c7e7ab76ef264ead0fcce33"),
	HASH("sha3-256", "abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
	HASH("sha3-256", TWO_BLOCKS,
	     "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376"),
	HASH("sha3-384", "abc",
	     "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2"
	     "98d88cea927ac7f539f1edf228376d25"),
	HASH("sha3-384", TWO_BLOCKS,
	     "991c665755eb3a4b6bbdfb75c78a492e8c56a22c5c4d7e429bfdbc32b9d4ad5a"
	     "a04a1f076e62fea19eef51acd0657c22"),
	HASH("sha3-512", "abc",
	     "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
	     "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"),
	HASH("sha3-512", TWO_BLOCKS,
	     "04a371e84ecfb5b8b77cb48610fca8182dd457ce6f326a0fd3d7ec2f1e91636d"
	     "ee691fbe0c985302ba1b0d8dc78c086346b533b49c030d99a27daf1139d6e75e"),
	HASH("blake2b-160", "abc", "384264f676f39536840523f284921cdc68b6846b"),
	HASH("blake2b-160", TWO_BLOCKS, "4fc6d7704103fc8aca4690f70432c8d35acfb833"),
	HASH("blake2b-256", "abc",
	     "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
	HASH("blake2b-256", TWO_BLOCKS,
	     "5f7a93da9c5621583f22e49e8e91a40cbba37536622235a380f434b9f68e49c4"),
	HASH("blake2b-384", "abc",
	     "6f56a82c8e7ef526dfe182eb5212f7db9df1317e57815dbda46083fc30f54ee6"
	     "c66ba83be64b302d7cba6ce15bb556f4"),
	HASH("blake2b-384", TWO_BLOCKS,
	     "5643daabfc919190d373a3d58935804d731b58812f30184f98793f7321d0cb34"
	     "bb41b217fabce6bdf28ca6be1c923b81"),
	HASH("blake2b-512", "abc",
	     "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
	     "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"),
	HASH("blake2b-512", TWO_BLOCKS,
	     "7285ff3e8bd768d69be62b3bf18765a325917fa9744ac2f582a20850bc2b1141"
	     "ed1b3e4528595acc90772bdf2d37dc8a47130b44f33a02e8730e5ad8e166e888"),
	HASH("blake2s-256", "abc",
	     "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"),
	HASH("blake2s-256", TWO_BLOCKS,
	     "6f4df5116a6f332edab1d9e10ee87df6557beab6259d7663f3bcd5722c13f189"),

	HMAC("hmac(md5)", "Jefe", 1, NOTHING, "750c783e6ab0b503eaa86e310a5db738"),
	HMAC("hmac(md5)", "\xaa", 80, LARGER, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
	HMAC("hmac(sha1)", "Jefe", 1, NOTHING, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
	HMAC("hmac(sha1)", "\xaa", 80, LARGER, "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
	HMAC("hmac(sha224)", "Jefe", 1, NOTHING,
	     "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
	HMAC("hmac(sha224)", "\xaa", 131, LARGER,
	     "95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e"),
	HMAC("hmac(sha256)", "Jefe", 1, NOTHING,
	     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
	HMAC("hmac(sha256)", "\xaa", 131, LARGER,
	     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
	HMAC("hmac(sha384)", "Jefe", 1, NOTHING,
	     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
	     "8e2240ca5e69e2c78b3239ecfab21649"),
	HMAC("hmac(sha384)", "\xaa", 200, LARGER,
	     "ec629fe0dc1fab504fc1c89572d6573cf15c3a4b5b69d53f0c13849561a6c13e"
	     "153af48d2538ce056a3fe10d69da16c3"),
	HMAC("hmac(sha512)", "Jefe", 1, NOTHING,
	     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
	     "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"),
	HMAC("hmac(sha512)", "\xaa", 131, LARGER,
	     "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
	     "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"),
	HMAC("hmac(sha3-224)", "Jefe", 1, NOTHING,
	     "7fdb8dd88bd2f60d1b798634ad386811c2cfc85bfaf5d52bbace5e66"),
	HMAC("hmac(sha3-224)", "\xaa", 200, LARGER,
	     "5e73d57bd011f0f92fef3c3b92ea4bcb4821c6d83c37db34f29e0760"),
	HMAC("hmac(sha3-256)", "Jefe", 1, NOTHING,
	     "c7d4072e788877ae3596bbb0da73b887c9171f93095b294ae857fbe2645e1ba5"),
	HMAC("hmac(sha3-256)", "\xaa", 200, LARGER,
	     "49ad92b02124fdac9627ae45e008a696182ab6bfb8470457777c744aeb9df06f"),
	HMAC("hmac(sha3-384)", "Jefe", 1, NOTHING,
	     "f1101f8cbf9766fd6764d2ed61903f21ca9b18f57cf3e1a23ca13508a93243ce"
	     "48c045dc007f26a21b3f5e0e9df4c20a"),
	HMAC("hmac(sha3-384)", "\xaa", 200, LARGER,
	     "3e7b62d091d75f484892bc2ed26d7b0ed37c9529f0227197cc8522971eb6f721"
	     "5dd4e0cc6ea306987e0cbfe914f3a916"),
	HMAC("hmac(sha3-512)", "Jefe", 1, NOTHING,
	     "5a4bfeab6166427c7a3647b747292b8384537cdb89afb3bf5665e4c5e709350b"
	     "287baec921fd7ca0ee7a0c31d022a95e1fc92ba9d77df883960275beb4e62024"),
	HMAC("hmac(sha3-512)", "\xaa", 200, LARGER,
	     "fafc7b7fe3332ce153966b27f6586fa5b49ec5d8dff3d7fd26a011451ca4c9de"
	     "437913879159d9c5181a9a6f377ef18b48399756decea695b04fe90a9d3b93d1"),
	HMAC("hmac(blake2b-160)", "Jefe", 1, NOTHING, "c4728ccc2f7600f89d9a480514910b9f5daf3dd6"),
	HMAC("hmac(blake2b-160)", "\xaa", 200, LARGER, "5a2f7b8da46718e4700b50bae525a2856f42c7ac"),
	HMAC("hmac(blake2b-256)", "Jefe", 1, NOTHING,
	     "3cf096eeeb2202a250db168c4823a44ef4618ebabb225789386fed316131e3a0"),
	HMAC("hmac(blake2b-256)", "\xaa", 200, LARGER,
	     "5d7749a46336be6cb20f86d1d53177a23c67b009ba90d3797a6295af9620d5fb"),
	HMAC("hmac(blake2b-384)", "Jefe", 1, NOTHING,
	     "e87f61624bc6c1db706a1efcc98e7e98c0ab8fea0978dbd87e2852406fdd313c"
	     "87968c5b825847f3c04d975b8b88598d"),
	HMAC("hmac(blake2b-384)", "\xaa", 200, LARGER,
	     "eb63ac2d1db91737de438dd8fa45604b73d73eafcd090d185aede92183c559ae"
	     "a31fb3aa5423a013d88b8d875d842b5e"),
	HMAC("hmac(blake2b-512)", "Jefe", 1, NOTHING,
	     "6ff884f8ddc2a6586b3c98a4cd6ebdf14ec10204b6710073eb5865ade37a2643"
	     "b8807c1335d107ecdb9ffeaeb6828c4625ba172c66379efcd222c2de11727ab4"),
	HMAC("hmac(blake2b-512)", "\xaa", 200, LARGER,
	     "2f5f2d35b23f886565d4ef590d7226d15750f0971a39346f2859f38e87f0b09b"
	     "871ff0176dfd41c30f2d99e53309e215601088c0299f83f8acd804b32ccea0ae"),
	HMAC("hmac(blake2s-256)", "Jefe", 1, NOTHING,
	     "90b6281e2f3038c9056af0b4a7e763cae6fe5d9eb4386a0ec95237890c104ff0"),
	HMAC("hmac(blake2s-256)", "\xaa", 200, LARGER,
	     "e407ee3ae12bd7275d6e0c9c22a4671abae5deabaedf52d6a8af6c12e674249a"),

	HMAC("cmac(aes)", "\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c", 1,
	     AES_MESSAGE, "dfa66747de9ae63030ca32611497c827"),
	HMAC("cmac(aes)", "\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c", 1, "",
	     "bb1d6929e95937287fa37d129b756746"),
	HMAC("cmac(aes)",
	     "\x8e\x73\xb0\xf7\xda\x0e\x64\x52\xc8\x10\xf3\x2b\x80\x90\x79\xe5"
	     "\x62\xf8\xea\xd2\x52\x2c\x6b\x7b",
	     1, AES_MESSAGE, "8a1de5be2eb31aad089a82e6ee908b0e"),
	HMAC("cmac(aes)",
	     "\x60\x3d\xeb\x10\x15\xca\x71\xbe\x2b\x73\xae\xf0\x85\x7d\x77\x81"
	     "\x1f\x35\x2c\x07\x3b\x61\x08\xd7\x2d\x98\x10\xa3\x09\x14\xdf\xf4",
	     1, AES_MESSAGE, "aaf3d8f1de5640c232f5b169b9c911e6"),

	{.algorithm = 0},
};
