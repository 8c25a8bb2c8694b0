package anabranch.peers;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * MurmurHash3 (Austin Appleby, public domain), seed 0: x86_32 for buckets, x64_128 for event ids.
 * Without dependencies, so that {@code java Murmur3.java} runs it by itself.
 */
public final class Murmur3 {
    private static final VarHandle INT =
            MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONG =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long C1 = 0x87c37b91114253d5L;
    private static final long C2 = 0x4cf5ad432745937fL;
    private static final byte[] DIGITS = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

    private Murmur3() {}

    /** The hash as an unsigned 32-bit number. */
    public static long x86_32(byte[] data) {
        int h = 0;
        int blocks = data.length & ~3;
        for (int i = 0; i < blocks; i += 4) {
            h ^= mix((int) INT.get(data, i));
            h = Integer.rotateLeft(h, 13) * 5 + 0xe6546b64;
        }
        int k = 0;
        switch (data.length & 3) {
            case 3:
                k ^= (data[blocks + 2] & 0xff) << 16;
            case 2:
                k ^= (data[blocks + 1] & 0xff) << 8;
            case 1:
                k ^= data[blocks] & 0xff;
                h ^= mix(k);
            default:
        }
        h ^= data.length;
        h = (h ^ (h >>> 16)) * 0x85ebca6b;
        h = (h ^ (h >>> 13)) * 0xc2b2ae35;
        return (h ^ (h >>> 16)) & 0xffffffffL;
    }

    private static int mix(int k) {
        return Integer.rotateLeft(k * 0xcc9e2d51, 15) * 0x1b873593;
    }

    /** Index of the range of cumulative weights that a bucket falls into, all in integers. */
    public static int choose(long bucket, long[] sums) {
        long at = (bucket * sums[sums.length - 1]) >>> 32;
        int index = 0;
        while (sums[index] <= at) {
            index++;
        }
        return index;
    }

    /** The 128-bit digest as 32 lower-case hexadecimal digits, least significant byte first. */
    public static byte[] hexOf128(byte[] data) {
        long h1 = 0;
        long h2 = 0;
        int blocks = data.length & ~15;
        for (int i = 0; i < blocks; i += 16) {
            h1 ^= mix1((long) LONG.get(data, i));
            h1 = (Long.rotateLeft(h1, 27) + h2) * 5 + 0x52dce729;
            h2 ^= mix2((long) LONG.get(data, i + 8));
            h2 = (Long.rotateLeft(h2, 31) + h1) * 5 + 0x38495ab5;
        }
        int left = data.length & 15;
        long k1 = 0;
        long k2 = 0;
        for (int i = left - 1; i >= 8; i--) {
            k2 = k2 << 8 | data[blocks + i] & 0xff;
        }
        for (int i = Math.min(left, 8) - 1; i >= 0; i--) {
            k1 = k1 << 8 | data[blocks + i] & 0xff;
        }
        h2 ^= mix2(k2);
        h1 ^= mix1(k1);
        h1 ^= data.length;
        h2 ^= data.length;
        h1 += h2;
        h2 += h1;
        h1 = finish(h1);
        h2 = finish(h2);
        h1 += h2;
        h2 += h1;
        byte[] hex = new byte[32];
        write(h1, hex, 0);
        write(h2, hex, 16);
        return hex;
    }

    private static long mix1(long k) {
        return Long.rotateLeft(k * C1, 31) * C2;
    }

    private static long mix2(long k) {
        return Long.rotateLeft(k * C2, 33) * C1;
    }

    private static long finish(long k) {
        k = (k ^ (k >>> 33)) * 0xff51afd7ed558ccdL;
        k = (k ^ (k >>> 33)) * 0xc4ceb9fe1a85ec53L;
        return k ^ (k >>> 33);
    }

    private static void write(long value, byte[] hex, int at) {
        for (int i = 0; i < 8; i++) {
            int octet = (int) (value >>> (8 * i)) & 0xff;
            hex[at + 2 * i] = DIGITS[octet >>> 4];
            hex[at + 2 * i + 1] = DIGITS[octet & 15];
        }
    }

    /** For every line of standard input: bucket, index among the weights 1, 2, 5, and id digest. */
    public static void main(String[] arguments) throws IOException {
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            byte[] data = line.getBytes(StandardCharsets.UTF_8);
            long bucket = x86_32(data);
            out.append(bucket).append(' ').append(choose(bucket, new long[] {1, 3, 8})).append(' ');
            out.append(new String(hexOf128(data), StandardCharsets.US_ASCII)).append('\n');
        }
        System.out.print(out);
    }
}
