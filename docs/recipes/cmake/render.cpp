// A renderer to be tested: a plucked string (Karplus and Strong 1983), one second as 16-bit WAV.
#include <cstdint>
#include <fstream>
#include <iostream>
#include <vector>

constexpr std::uint32_t rate = 48000;

std::vector<float> pluck(float frequency) {
    std::vector<float> string(static_cast<std::size_t>(rate / frequency));
    std::uint32_t seed = 1;
    for (float &x : string) {
        seed = 1664525 * seed + 1013904223;
        x = static_cast<float>(seed) / 4294967296.0F - 0.5F;
    }
    std::vector<float> sound(rate);
    for (std::size_t i = 0; i < sound.size(); i++) {
        float &x = string[i % string.size()];
        sound[i] = x;
        x = 0.498F * (x + string[(i + 1) % string.size()]);
    }
    return sound;
}

void put(std::ofstream &file, std::uint32_t value, int bytes) { // little-endian on any machine
    for (int i = 0; i < bytes; i++) file.put(static_cast<char>(value >> (8 * i)));
}

int main(int count, char **arguments) {
    if (count != 2) {
        std::cerr << "usage: render FILE.wav\n";
        return 2;
    }
    const std::vector<float> sound = pluck(220.0F);
    const auto size = static_cast<std::uint32_t>(2 * sound.size());
    std::ofstream file(arguments[1], std::ios::binary);
    file << "RIFF";
    put(file, 36 + size, 4);
    file << "WAVEfmt ";
    put(file, 16, 4);
    put(file, 1, 2); // PCM
    put(file, 1, 2); // mono
    put(file, rate, 4);
    put(file, 2 * rate, 4);
    put(file, 2, 2);
    put(file, 16, 2);
    file << "data";
    put(file, size, 4);
    for (float x : sound) put(file, static_cast<std::uint32_t>(static_cast<std::int32_t>(32767 * x)), 2);
    file.close();
    return file.fail() ? 1 : 0;
}
